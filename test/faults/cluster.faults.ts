import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import pino from 'pino';
import { connectTransport } from '../../runtime/transport/jetstream.ts';
import type { Transport } from '../../runtime/transport/transport.ts';
import type { NatsServer } from '../cluster/nats.ts';
import { startNatsCluster } from '../cluster/nats-cluster.ts';
import { temporaryFolder } from '../cluster/temporary.ts';

/*
 * `npm run faults -- cluster`: three NATS servers; the one that leads the inbox is killed again and again while messages are published at a
 * fixed rate and read. What was acknowledged to the publisher must arrive, and the publisher repeats what was not, with the same id.
 */
const usage = 'npm run faults -- cluster [--seconds 60] [--every 10] [--rate 500]';
const stream = 'inbox_orders';
const consumer = { stream, name: 'worker-0' };
const awayMs = 2_000;
const lastMs = 120_000;

export interface ClusterRun {
  readonly seconds: number;
  /** Seconds between kills. */
  readonly every: number;
  /** Messages for each second. */
  readonly rate: number;
  readonly say: (text: string) => void;
}
export interface ClusterOutcome {
  readonly acknowledged: number;
  readonly lost: number;
  readonly kills: number;
  /** Publishes that had to be repeated: the kills were felt. */
  readonly repeated: number;
}

const open = async (nodes: readonly NatsServer[], role: 'worker' | 'gateway'): Promise<Transport> => {
  const folder = join(await temporaryFolder('cluster'), 'nats');
  await mkdir(folder);
  await writeFile(join(folder, 'url'), nodes.map((node) => node.url).join(','));
  return connectTransport({ folder, role, integration: 'orders', name: role, log: pino({ level: 'silent' }) });
};

/** Elections take a while; whatever fails meanwhile is tried again. */
const insistently = async <T>(what: string, act: () => Promise<T>): Promise<T> => {
  for (const until = Date.now() + lastMs; ; ) {
    try {
      return await act();
    } catch (cause) {
      if (Date.now() > until) throw new Error(`${what} failed for ${lastMs / 1000} s`, { cause });
      await delay(250);
    }
  }
};

const makeStream = async (manager: JetStreamManager) => {
  await insistently('making the stream', () =>
    manager.streams.add({ name: stream, subjects: ['inbox.orders.*.*'], retention: 'workqueue', num_replicas: 3 }),
  );
  await insistently('making the consumer', () =>
    manager.consumers.add(stream, { durable_name: consumer.name, ack_policy: 'explicit', ack_wait: 10e9 }),
  );
};

export const runCluster = async ({ seconds, every, rate, say }: ClusterRun): Promise<ClusterOutcome> => {
  const nodes = await startNatsCluster();
  const admin = await connect({
    servers: nodes.map(({ url }) => url),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
    noAsyncTraces: true,
  });
  const manager = await insistently('JetStream', () => jetstreamManager(admin, { timeout: 5_000 }));
  await makeStream(manager);
  const [publisher, reader] = [await open(nodes, 'gateway'), await open(nodes, 'worker')];
  const arrived = new Set<string>();
  const acknowledged = new Set<string>();
  let held = 0;
  let repeated = 0;
  let kills = 0;
  const consumption = reader.consume(consumer, {
    credit: () => 256 - held,
    deliver: (delivery) => {
      held += 1;
      arrived.add(delivery.headers['ce-id'] ?? '');
      const settled = () => {
        held -= 1;
        consumption.more();
      };
      // An ack without an answer is the broker's to deliver again.
      void delivery.ack().then(settled, settled);
    },
  });

  const publish = async (id: string) => {
    let tries = 0;
    await insistently(`publishing ${id}`, () => {
      tries += 1;
      return publisher.publish({ subject: 'inbox.orders.0.in', id, headers: { 'ce-id': id }, body: Buffer.from(id) });
    });
    if (tries > 1) repeated += 1;
    acknowledged.add(id);
  };
  const killLeader = async () => {
    const { cluster } = await insistently('asking for the leader', () => manager.streams.info(stream));
    const leader = nodes[Number(cluster?.leader?.slice(1))];
    if (!leader) return;
    await leader.kill();
    kills += 1;
    say(`killed ${cluster?.leader}: ${acknowledged.size} acknowledged, ${arrived.size} arrived`);
    await delay(awayMs);
    await leader.start();
  };

  const started = Date.now();
  const publishing: Promise<void>[] = [];
  let killing = Promise.resolve();
  let killAt = every;
  for (let sent = 0; sent < seconds * rate; ) {
    const elapsed = (Date.now() - started) / 1000;
    for (const due = Math.min(seconds * rate, Math.floor(elapsed * rate)); sent < due; sent += 1) {
      publishing.push(publish(`m${sent}`));
    }
    if (elapsed >= killAt) {
      killAt += every;
      killing = killing.then(killLeader);
    }
    await delay(5);
  }
  await Promise.all([...publishing, killing]);
  await insistently('reading the rest', async () => {
    const missing = [...acknowledged].filter((id) => !arrived.has(id)).length;
    if (missing > 0) throw new Error(`${missing} acknowledged messages have not arrived`);
  }).catch((error: unknown) => say(String(error)));

  const lost = [...acknowledged].filter((id) => !arrived.has(id)).length;
  await Promise.all([publisher.close(), reader.close(), admin.close()]);
  await Promise.all(nodes.map((node) => node.close()));
  return { acknowledged: acknowledged.size, lost, kills, repeated };
};

export const run = async (args: string[]): Promise<boolean> => {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: 'string', default: '60' },
      every: { type: 'string', default: '10' },
      rate: { type: 'string', default: '500' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return true;
  }
  const [seconds, every, rate] = [values.seconds, values.every, values.rate].map(Number) as [number, number, number];
  const outcome = await runCluster({ seconds, every, rate, say: console.log });
  for (const [name, value] of Object.entries(outcome)) console.log(`${name} ${value}`);
  return outcome.lost === 0 && outcome.acknowledged === seconds * rate && outcome.kills > 0;
};
