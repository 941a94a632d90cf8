import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import pino from 'pino';
import { expect, onTestFinished } from 'vitest';
import type { ConsumerSpec } from '../../../operator/reconcile/ports.ts';
import type { Flow } from '../../../runtime/flow.ts';
import { Body } from '../../../runtime/message.ts';
import { encodeMessage, messageId } from '../../../runtime/nats/envelope.ts';
import { inboxSubject } from '../../../runtime/nats/names.ts';
import { connectTransport } from '../../../runtime/transport/jetstream.ts';
import type { Transport } from '../../../runtime/transport/transport.ts';
import { freePort } from '../../cluster/ports.ts';
import type { KillPlan } from '../../faults/kill-plan.ts';
import { bucketSpec, consumer, deadLetterSpec, inboxSpec } from '../../operator/broker/specs.ts';
import { startWorld, type World, type WorldTenant } from '../../operator/broker/world.ts';
import { type Program, program } from '../../programs.ts';
import type { Fault } from './broken-rules.ts';

/*
 * A worker as it runs in a pod: its own process, its own credentials, a real server with the tenant's streams, and a receiver at the
 * other end that does what the test says.
 */
export const integration = 'orders';
export const silent = pino({ level: 'silent' });

export interface Call {
  readonly id: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}
/** The status to answer with; `hang` never answers. */
export type Behaviour = (call: Call, calls: readonly Call[]) => number | 'hang' | Promise<number | 'hang'>;

export interface Receiver {
  readonly url: string;
  readonly calls: Call[];
  behave(behaviour: Behaviour): void;
  /** How often each message id was received. */
  counts(): Map<string, number>;
}

export const startReceiver = async (): Promise<Receiver> => {
  const calls: Call[] = [];
  let behaviour: Behaviour = () => 200;
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const call: Call = {
      id: String(request.headers['ce-id']),
      path: request.url ?? '',
      headers: request.headers,
      body: Buffer.concat(chunks).toString(),
    };
    calls.push(call);
    const status = await behaviour(call, calls);
    if (status !== 'hang') response.writeHead(status).end();
  };
  const server: Server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    behave: (next) => {
      behaviour = next;
    },
    counts: () => {
      const counts = new Map<string, number>();
      for (const { id } of calls) counts.set(id, (counts.get(id) ?? 0) + 1);
      return counts;
    },
  };
};

export const flowTo = (url: string, changed: Partial<Flow> = {}): Flow => ({
  version: 1,
  tenant: 'acme',
  namespace: 'acme',
  integration,
  uid: 'uid-1',
  generation: 7,
  sources: [{ name: 'in', http: { path: '/in' } }],
  steps: [],
  flows: [],
  sinks: [{ name: 'out', http: { connectionRef: { name: 'erp' }, method: 'POST', path: '/out' } }],
  connections: { erp: { http: { url } } },
  delivery: {
    timeout: '20s',
    retry: { attempts: 3, backoff: { initial: '50ms', max: '200ms' } },
    ordering: 'None',
    partitions: 1,
    concurrency: 64,
  },
  egress: { allow: [{ cidr: '127.0.0.1/32' }], closed: [] },
  ...changed,
});

export interface WorkerProcess {
  readonly process: ChildProcess;
  readonly output: () => string;
  readonly healthUrl: string;
  kill(): Promise<void>;
  /** Resolves when it has ended, however. */
  readonly ended: Promise<unknown>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
}

export interface How {
  /** Options of its process. */
  readonly node?: readonly string[];
  /** It kills itself at a point of a message. */
  readonly kill?: KillPlan;
}
interface Start {
  readonly node: readonly string[];
  readonly entry: Program;
  readonly env: Readonly<Record<string, string>>;
  /** In its log when it has started. */
  readonly started: string;
}
/** Where an intake kills itself, and what it breaks, for controls (dying-intake.ts). */
export interface IntakeHarm {
  readonly kill?: { readonly point: 'before accept' | 'accepted'; readonly after: number };
  readonly fault?: 'random-ids';
}
export interface Workshop {
  readonly world: World;
  readonly tenant: WorldTenant;
  readonly admin: NatsConnection;
  readonly manager: JetStreamManager;
  /** With the gateway's credentials. */
  readonly gateway: Transport;
  publish(ids: readonly string[], body?: unknown): Promise<void>;
  /** `fault`: the same engine with one rule broken (faulty-worker.ts), for controls. */
  startWorker(flow: Flow, fault?: Fault, how?: How): Promise<WorkerProcess>;
  startIntake(flow: Flow, harm?: IntakeHarm): Promise<WorkerProcess>;
  messages(stream: string): Promise<number>;
  /** Holds the mounted volumes by the names of their claims. */
  readonly volumes: string;
}

const root = join(import.meta.dirname, '../../..');

export interface WorkshopOptions {
  readonly ackWaitMs?: number;
  /** Of the inbox; default: one for partition 0. */
  readonly consumers?: readonly ConsumerSpec[];
}

/** AckWait is short, because many tests kill workers and wait for the broker to notice. */
export const startWorkshop = async ({ ackWaitMs = 1_500, consumers }: WorkshopOptions = {}): Promise<Workshop> => {
  const world = await startWorld();
  onTestFinished(() => world.stop());
  const tenant = await world.tenant('acme');
  const worker = { ...consumer('worker-0', ['inbox.orders.0.*']), ackWaitMs };
  for (const spec of [
    inboxSpec(integration, { maxBytes: 32 * 1024 ** 2, consumers: consumers ?? [worker] }),
    deadLetterSpec(integration),
    bucketSpec('state'),
  ]) {
    await tenant.broker.ensureStream(spec);
  }
  const volumes = await mkdtemp(join(tmpdir(), 'kanava-volumes-'));
  // A sink whose time is over takes its file back a moment later.
  onTestFinished(() => rm(volumes, { recursive: true, force: true, maxRetries: 5 }));
  const admin = await tenant.admin();
  const manager = await jetstreamManager(admin);
  const gateway = await connectTransport({
    folder: await tenant.folder('gateway'),
    role: 'gateway',
    name: 'test gateway',
    log: silent,
  });
  onTestFinished(() => gateway.close());

  const startProcess = async (
    role: 'worker' | 'intake',
    flow: Flow,
    { node, entry, env, started }: Start,
  ): Promise<WorkerProcess> => {
    const dir = dirname(await tenant.folder(role, flow.integration));
    await mkdir(join(dir, 'secrets'), { recursive: true });
    await writeFile(join(dir, 'flow.json'), JSON.stringify(flow));
    const healthPort = await freePort();
    let end = async (): Promise<void> => undefined;
    // Before there is a process: outside a test this throws, and then nobody would end it.
    onTestFinished(() => end());
    const child = spawn(process.execPath, [...node, program(entry), role], {
      cwd: root,
      env: {
        ...process.env,
        ...env,
        KANAVA_DIR: dir,
        KANAVA_VOLUMES: volumes,
        KANAVA_HEALTH_PORT: String(healthPort),
        KANAVA_TENANT: 'acme',
        KANAVA_INTEGRATION: flow.integration,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
    const exited = once(child, 'exit');
    end = async () => {
      child.kill('SIGKILL');
      // It may be writing to folders that are removed next.
      await exited;
    };
    await expect
      .poll(() => output.includes(started) || child.exitCode !== null, { timeout: 90_000, interval: 20 })
      .toBe(true);
    if (child.exitCode !== null) throw new Error(`the ${role} did not start: ${output}`);
    return {
      process: child,
      output: () => output,
      healthUrl: `http://127.0.0.1:${healthPort}`,
      ended: exited,
      async kill() {
        child.kill('SIGKILL');
        await exited;
      },
      async stop() {
        child.kill('SIGTERM');
        await exited;
        return child.exitCode;
      },
    };
  };

  return {
    world,
    tenant,
    admin,
    manager,
    gateway,
    volumes,
    async publish(ids, body = { total: 20 }) {
      const publications = ids.map((id) => {
        const attrs = {
          id,
          source: '/shop',
          type: 'order',
          specversion: '1.0',
          datacontenttype: 'application/json',
        } as const;
        const { headers, body: bytes } = encodeMessage({
          attrs,
          headers: { 'x-kept': 'yes' },
          body: Body.fromValue(body as never),
        });
        const subject = inboxSubject(integration, 0, 'in');
        return gateway.publish({ subject, id: messageId('in', attrs), headers, body: bytes });
      });
      await Promise.all(publications);
    },
    startWorker: (flow, fault, { node = [], kill } = {}) =>
      startProcess('worker', flow, {
        node,
        entry: fault || kill ? 'test/runtime/engine/faulty-worker.ts' : 'runtime/main.ts',
        env: { ...(fault ? { TEST_FAULT: fault } : {}), ...(kill ? { TEST_KILL: JSON.stringify(kill) } : {}) },
        started: 'worker pulls',
      }),
    startIntake: (flow, { kill, fault } = {}) =>
      startProcess('intake', flow, {
        node: [],
        entry: kill ? 'test/runtime/intake/dying-intake.ts' : 'runtime/main.ts',
        env: { ...(kill ? { TEST_KILL: JSON.stringify(kill) } : {}), ...(fault ? { TEST_FAULT: fault } : {}) },
        started: 'intake runs',
      }),
    messages: async (stream) => (await manager.streams.info(stream)).state.messages,
  };
};

export const ids = (count: number): string[] => Array.from({ length: count }, (_, index) => `m${index}`);
/** Polls until the check holds, for as long as a killed worker's messages may take. */
export const eventually = (check: () => unknown) => expect.poll(check, { timeout: 60_000, interval: 50 });
