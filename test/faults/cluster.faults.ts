import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import pino from 'pino';
import { connectTransport } from '../../runtime/transport/jetstream.ts';
import type { Transport } from '../../runtime/transport/transport.ts';
import type { NatsServer } from '../cluster/nats.ts';
import { startNatsCluster } from '../cluster/nats-cluster.ts';
import { temporaryFolder } from '../cluster/temporary.ts';
import { insistently, startLoad, untilNone } from './load.ts';
import { readOptions, report, type Say } from './report.ts';

/*
 * `npm run faults -- cluster`: three NATS servers; the one that leads the inbox is killed again and again while messages are published at a
 * fixed rate and read. What was acknowledged to the publisher must arrive, and the publisher repeats what was not, with the same id.
 */
const help = `npm run faults -- cluster [OPTIONS]    three NATS servers; the one that leads the inbox is killed again and again
  --seconds N   of load (default 60)
  --every N     seconds between two kills (default 10)
  --rate N      messages a second (default 500)
  --json        the result as one object; progress goes to standard error`;
const stream = 'inbox_orders';
const consumer = { stream, name: 'worker-0' };
const awayMs = 2_000;

export interface ClusterRun {
  readonly seconds: number;
  /** Seconds between kills. */
  readonly every: number;
  /** Messages for each second. */
  readonly rate: number;
  readonly say: Say;
}
export interface ClusterOutcome {
  readonly acknowledged: number;
  readonly lost: number;
  /** Stored at the end: what has not arrived is there, or nowhere. */
  readonly left: number;
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
  let held = 0;
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

  const load = startLoad({
    seconds,
    rate,
    publish: (id) =>
      publisher.publish({ subject: 'inbox.orders.0.in', id, headers: { 'ce-id': id }, body: Buffer.from(id) }),
  });
  const { accepted } = load;
  const killLeader = async () => {
    const { cluster } = await insistently('asking for the leader', () => manager.streams.info(stream));
    const leader = nodes[Number(cluster?.leader?.slice(1))];
    if (!leader) return;
    await leader.kill();
    kills += 1;
    say(`killed ${cluster?.leader}: ${accepted.size} acknowledged, ${arrived.size} arrived`);
    await pause(awayMs);
    await leader.start();
  };

  for (let over = false; !over; ) {
    over = await Promise.race([load.finished.then(() => true), pause(every * 1_000, false)]);
    if (!over) await killLeader();
  }
  const lost = () => [...accepted].filter((id) => !arrived.has(id)).length;
  await untilNone(lost);
  const left = await insistently(
    'asking for the rest',
    async () => (await manager.streams.info(stream)).state.messages,
  );
  await Promise.all([publisher.close(), reader.close(), admin.close()]);
  await Promise.all(nodes.map((node) => node.close()));
  return { acknowledged: accepted.size, lost: lost(), left, kills, repeated: load.repeated() };
};

export const run = async (args: string[]): Promise<boolean> => {
  const options = readOptions(args, help, { seconds: 60, every: 10, rate: 500 });
  if (!options) return true;
  const { seconds, rate } = options.numbers;
  const outcome = await runCluster({ ...options.numbers, say: options.say });
  return report(
    { ...outcome },
    [
      { text: `the leader was killed (${outcome.kills})`, holds: outcome.kills > 0 },
      { text: `publishes had to be repeated (${outcome.repeated})`, holds: outcome.repeated > 0 },
      { text: 'all were acknowledged in the end', holds: outcome.acknowledged === seconds * rate },
      { text: 'no acknowledged message lost', holds: outcome.lost === 0 },
    ],
    options.json,
  );
};
