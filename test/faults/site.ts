import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import pino from 'pino';
import { bundle, runtimeFlags } from '../../build.ts';
import { makeUser } from '../../operator/broker/credentials.ts';
import type { StreamSpec } from '../../operator/reconcile/ports.ts';
import { Body } from '../../runtime/message.ts';
import { encodeMessage, messageId } from '../../runtime/nats/envelope.ts';
import { inboxSubject } from '../../runtime/nats/names.ts';
import { connectTransport } from '../../runtime/transport/jetstream.ts';
import { freePort } from '../cluster/ports.ts';
import { resolvedFlow } from '../flow.ts';
import { bucketSpec, deadLetterSpec, inboxSpec } from '../operator/broker/specs.ts';
import { startWorld, type World, type WorldOptions } from '../operator/broker/world.ts';
import { program } from '../programs.ts';
import type { Fault } from '../runtime/engine/broken-rules.ts';
import { type Load, startLoad, untilNone, within } from './load.ts';
import { residentMib } from './memory.ts';
import { readAll } from './read-all.ts';

/*
 * One Integration at work: a sender with a gateway's credentials, a real server, the real worker, and a receiver that counts. A run does
 * something to one of them and asks `lost`.
 */
export interface SiteOptions {
  readonly world?: WorldOptions;
  readonly inbox?: Partial<StreamSpec>;
  readonly deadLetters?: Partial<StreamSpec>;
  /** Of a message's text. */
  readonly bytes?: number;
  /** What the receiver does with a message: the status, after a while or at once. */
  readonly answer?: (id: string) => number | Promise<number>;
  /** The engine with one rule broken, for controls. */
  readonly fault?: Fault;
}
export interface Site {
  readonly world: World;
  readonly manager: JetStreamManager;
  readonly worker: { readonly pid: number; alive(): boolean };
  /** Ids that the receiver has answered with a success. */
  readonly delivered: ReadonlySet<string>;
  load(seconds: number, rate: number): Load;
  /** As many messages as can be done in a while, until that takes no more memory: it is judged when the process has seen its busiest time. */
  warmUp(): Promise<void>;
  /** New credentials for sender and worker, as the operator renews them. */
  renew(lifetimeMs: number): Promise<void>;
  /** The files of both are empty, as in the middle of being replaced. */
  spoil(): Promise<void>;
  /** Makes those that are gone, as the operator does. */
  ensureStreams(): Promise<void>;
  stored(stream?: string): Promise<number>;
  /** Waits until the inbox is empty; then: which of the accepted ones are neither delivered nor dead letters. */
  lost(load: Load): Promise<number>;
  close(): Promise<void>;
}

const root = join(import.meta.dirname, '../..');
const integration = 'orders';
const inbox = 'inbox_orders';
const deadLetters = 'dlq_orders';
const concurrency = 64;
const warmUpMessages = 10_000;
const mostWarmUps = 6;
const log = pino({ level: 'silent' });

export const startSite = async (options: SiteOptions = {}): Promise<Site> => {
  const { answer = () => 200, fault, bytes = 1_024 } = options;
  const world = await startWorld(options.world);
  const tenant = await world.tenant('acme', { storage: 8 * 1024 ** 3, memory: 1024 ** 3 });
  const ensureStreams = async () => {
    for (const spec of [
      inboxSpec(integration, { maxBytes: 512 * 1024 ** 2, ...options.inbox }),
      deadLetterSpec(integration, { maxBytes: 64 * 1024 ** 2, ...options.deadLetters }),
      bucketSpec('state', { maxBytes: 64 * 1024 ** 2 }),
    ]) {
      await tenant.broker.ensureStream(spec);
    }
  };
  await ensureStreams();
  const manager = await jetstreamManager(await tenant.admin(), { timeout: 5_000 });
  const folders = {
    gateway: await tenant.folder('gateway'),
    worker: await tenant.folder('worker', integration),
  };
  const gateway = await connectTransport({ folder: folders.gateway, role: 'gateway', name: 'fault run', log });
  const receiver = await startCounter(answer);
  const child = await startWorker(dirname(folders.worker), receiver.url, fault);

  const text = 'x'.repeat(bytes);
  const publish = async (id: string) => {
    const attrs = { id, source: '/shop', type: 'order', specversion: '1.0' } as const;
    const { headers, body } = encodeMessage({ attrs, headers: {}, body: Body.fromValue({ text }) });
    await gateway.publish({ subject: inboxSubject(integration, 0, 'in'), id: messageId('in', attrs), headers, body });
  };
  const stored = async (stream = inbox) => (await manager.streams.info(stream)).state.messages;
  const drained = () => untilNone(() => stored().catch(() => Number.POSITIVE_INFINITY));
  return {
    world,
    manager,
    worker: { pid: Number(child.pid), alive: () => child.exitCode === null && child.signalCode === null },
    delivered: receiver.delivered,
    load: (seconds, rate) => startLoad({ seconds, rate, publish }),
    async warmUp() {
      for (let [round, before] = [0, 0]; round < mostWarmUps; round += 1) {
        await startLoad({ seconds: 1, rate: warmUpMessages, publish, prefix: `w${round}-` }).finished;
        await drained();
        const now = residentMib(Number(child.pid));
        if (now <= 1.02 * before) return;
        before = Math.max(now, before);
      }
    },
    async renew(lifetimeMs) {
      await writeFile(join(folders.gateway, 'creds'), makeUser(tenant.keys, 'gateway', undefined, lifetimeMs).creds);
      await writeFile(join(folders.worker, 'creds'), makeUser(tenant.keys, 'worker', integration, lifetimeMs).creds);
    },
    spoil: async () => void (await Promise.all(Object.values(folders).map((dir) => writeFile(join(dir, 'creds'), '')))),
    stored,
    ensureStreams,
    async lost({ accepted }) {
      await drained();
      const dead = new Set((await readAll(manager, deadLetters)).map(({ id }) => id));
      return [...accepted].filter((id) => !receiver.delivered.has(id) && !dead.has(id)).length;
    },
    async close() {
      child.kill('SIGKILL');
      receiver.close();
      await gateway.close();
      await world.stop();
    },
  };
};

const startCounter = async (answer: (id: string) => number | Promise<number>) => {
  const delivered = new Set<string>();
  const respond = async (id: string, response: ServerResponse) => {
    const status = await answer(id);
    if (status < 300) delivered.add(id);
    response.writeHead(status).end();
  };
  const server = createServer((request, response) => {
    request.resume().once('end', () => void respond(String(request.headers['ce-id']), response));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    delivered,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
};

const startWorker = async (dir: string, url: string, fault: Fault | undefined): Promise<ChildProcess> => {
  const flow = resolvedFlow(integration, url, {
    tenant: 'acme',
    steps: [{ name: 'shape', map: { body: { id: '=attrs.id', text: '=body.text' } } }],
    delivery: {
      timeout: '30s',
      retry: { attempts: 3, backoff: { initial: '1s', max: '5s' } },
      ordering: 'None',
      partitions: 1,
      concurrency,
    },
  });
  await mkdir(join(dir, 'secrets'), { recursive: true });
  await writeFile(join(dir, 'flow.json'), JSON.stringify(flow));
  // What its image runs, with the same flags: memory is judged.
  const entry = fault ? program('test/runtime/engine/faulty-worker.ts') : join(await bundle('runtime'), 'runtime.cjs');
  const child = spawn(process.execPath, [...runtimeFlags, entry, 'worker'], {
    cwd: root,
    env: {
      ...process.env,
      KANAVA_DIR: dir,
      KANAVA_HEALTH_PORT: String(await freePort()),
      KANAVA_TENANT: 'acme',
      KANAVA_INTEGRATION: integration,
      ...(fault ? { TEST_FAULT: fault } : {}),
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  process.once('exit', () => child.kill('SIGKILL'));
  let output = '';
  child.stdout.on('data', (chunk) => (output = `${output}${String(chunk)}`.slice(-10_000)));
  if (await within(60_000, () => output.includes('worker pulls') || child.exitCode !== null)) {
    if (child.exitCode === null) {
      // Its end before the run's is what the run looks for: how it came about is told.
      child.once('exit', (code, signal) => {
        if (signal !== 'SIGKILL') console.error(`the worker ended (${code ?? signal}): ${output.slice(-2_000)}`);
      });
      return child;
    }
  }
  child.kill('SIGKILL');
  throw new Error(`the worker did not start: ${output}`);
};
