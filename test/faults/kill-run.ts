import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import pino from 'pino';
import type { Flow } from '../../runtime/flow.ts';
import { Body, type JsonValue } from '../../runtime/message.ts';
import { encodeMessage, messageId } from '../../runtime/nats/envelope.ts';
import { inboxSubject } from '../../runtime/nats/names.ts';
import { connectTransport } from '../../runtime/transport/jetstream.ts';
import { bucketSpec, busSpec, consumer, deadLetterSpec, inboxSpec } from '../operator/broker/specs.ts';
import { startWorld, type WorldTenant } from '../operator/broker/world.ts';
import { program } from '../programs.ts';
import type { Fault } from '../runtime/engine/broken-rules.ts';
import { type KillPlan, type KillPoint, killPoints, type LastWords, type PlannedBody } from './kill-plan.ts';
import { readAll } from './read-all.ts';

/*
 * Many messages, many kills, a real server: workers die one after the other, each at a point of a message, and at the end everything is
 * counted. Two sinks get every message: `plain` writes without an id, `deduplicated` with the message's.
 */
export interface KillRun {
  readonly kills: number;
  readonly messages: number;
  readonly ackWaitMs: number;
  readonly concurrency: number;
  /** Workers at the same time. */
  readonly workers: number;
  /** Kills are spread over at least this time. */
  readonly atLeastMs?: number;
  readonly fault?: Fault;
  readonly seed: number;
  readonly progress?: (text: string) => void;
}
export interface KillResult {
  readonly killed: Readonly<Record<KillPoint, number>>;
  readonly sent: number;
  /** Neither in both sinks nor among the dead letters. */
  readonly lost: number;
  /** Delivered or dead-lettered with an id or a body that nobody sent. */
  readonly changed: number;
  /** Dead letters of messages that did nothing wrong. */
  readonly innocents: number;
  /** Of those that had to become one. */
  readonly deadLettersMissing: number;
  /** Second deliveries to the sink without ids, and to the one with. */
  readonly duplicates: number;
  readonly duplicatesWithId: number;
  /** Messages in work at the moment of each kill, summed. */
  readonly inFlightAtKills: number;
  readonly redelivered: number;
  readonly suspects: number;
  readonly seconds: number;
}

const root = join(import.meta.dirname, '../..');
const integration = 'orders';
const silent = pino({ level: 'silent' });
const progressMs = 5_000;
const failsEvery = 10;
const rejectedEvery = 500;
const idOf = (n: number) => `m${n}`;

const flowOf = (concurrency: number): Flow => ({
  version: 1,
  tenant: 'acme',
  namespace: 'acme',
  integration,
  uid: 'uid-1',
  generation: 1,
  sources: [{ name: 'in', http: { path: '/in' } }],
  steps: [
    { name: 'shape', map: { body: { n: '=body.n', fails: '=body.fails', rejected: '=body.rejected' } } },
    { name: 'planned', planned: {} },
  ],
  flows: [],
  sinks: [
    { name: 'plain', stream: { subject: 'bus.plain', deduplicated: false } },
    { name: 'deduplicated', stream: { subject: 'bus.deduplicated', deduplicated: true } },
  ],
  connections: {},
  delivery: {
    timeout: '20s',
    retry: { attempts: 3, backoff: { initial: '100ms', max: '5s' } },
    ordering: 'None',
    partitions: 1,
    concurrency,
  },
  egress: { allow: [], closed: [] },
});

export const runKills = async (options: KillRun): Promise<KillResult> => {
  const { kills, messages, progress = () => undefined } = options;
  const started = performance.now();
  const random = randomFrom(options.seed);
  const elapsed = () => Math.round((performance.now() - started) / 1000);
  const world = await startWorld();
  let stopTelling: () => void = () => undefined;
  try {
    const tenant = await world.tenant('acme', { storage: 8 * 1024 ** 3 });
    const consumers = [{ ...consumer('worker-0', ['inbox.orders.0.*']), ackWaitMs: options.ackWaitMs }];
    const big = { maxBytes: 1024 ** 3 };
    for (const spec of [
      inboxSpec(integration, { ...big, consumers }),
      deadLetterSpec(integration, big),
      bucketSpec('state', big),
      // As long as the run: what is shown is what ids do within the window, not how long a window is.
      { ...busSpec([]), ...big, duplicateWindowMs: 24 * 3_600_000 },
    ]) {
      await tenant.broker.ensureStream(spec);
    }
    const manager = await jetstreamManager(await tenant.admin(), { timeout: 60_000 });
    let stored = 0;
    const left = async () => (stored = (await manager.streams.info('inbox_orders')).state.messages);
    const { publish, close } = await publisher(tenant);
    const start = starter(tenant, options);

    const words: LastWords[] = [];
    let planned = 0;
    let sent = 0;
    const supply = async () => {
      const enough = 2 * options.concurrency * options.workers;
      while (words.length < kills) {
        // What dead workers held comes back after AckWait: new ones must not wait for that, and none waits for ever.
        const [pending, unsettled] = [
          (await manager.consumers.info('inbox_orders', 'worker-0')).num_pending,
          await left(),
        ];
        if (pending < enough && sent < messages) sent = await publish(sent, Math.min(sent + enough, messages));
        else if (unsettled < enough) sent = await publish(sent, sent + options.concurrency);
        else await pause(50);
      }
    };
    const slot = async () => {
      while (planned < kills) {
        const index = planned;
        planned += 1;
        const soonest = started + ((options.atLeastMs ?? 0) * index) / kills;
        if (soonest > performance.now()) await pause(soonest - performance.now());
        const worker = await start(killPlan(index, random, (2 * messages) / kills));
        words.push(await worker.ended);
      }
    };
    const telling = setInterval(
      () => progress(`${elapsed()} s: ${words.length} of ${kills} kills, ${sent} messages sent, ${stored} stored`),
      progressMs,
    );
    stopTelling = () => clearInterval(telling);
    await Promise.all([supply(), ...Array.from({ length: options.workers }, slot)]);
    sent = await publish(sent, messages);
    progress(`the last worker finishes ${await left()} messages`);
    const last = await start(undefined);
    while ((await left()) > 0) await pause(200);
    last.stop();
    words.push(await last.ended);
    await close();
    return { ...(await count(manager, sent)), ...summary(words), seconds: (performance.now() - started) / 1000 };
  } finally {
    stopTelling();
    await world.stop();
  }
};

/** All points in turn; the message at which it happens by chance. */
const killPlan = (index: number, random: () => number, most: number): KillPlan => {
  const point = killPoints[index % killPoints.length] as KillPoint;
  const reachedBy = point === 'while parking' ? failsEvery : 1;
  return { point, after: 1 + Math.floor((random() * most) / reachedBy) };
};

const bodyOf = (n: number): PlannedBody => ({
  n,
  fails: n % failsEvery === 3 ? 1 : 0,
  rejected: n % rejectedEvery === 7,
});

const publisher = async (tenant: WorldTenant) => {
  const gateway = await connectTransport({
    folder: await tenant.folder('gateway'),
    role: 'gateway',
    name: 'fault run',
    log: silent,
  });
  const publish = async (from: number, to: number): Promise<number> => {
    const one = (n: number) => {
      const attrs = { id: idOf(n), source: '/shop', type: 'order', specversion: '1.0' } as const;
      const { headers, body } = encodeMessage({
        attrs,
        headers: {},
        body: Body.fromValue(bodyOf(n) as unknown as JsonValue),
      });
      return gateway.publish({
        subject: inboxSubject(integration, 0, 'in'),
        id: messageId('in', attrs),
        headers,
        body,
      });
    };
    for (let n = from; n < to; n += 1_000) {
      await Promise.all(Array.from({ length: Math.min(1_000, to - n) }, (_, index) => one(n + index)));
    }
    return Math.max(from, to);
  };
  return { publish, close: () => gateway.close() };
};

const starter =
  (tenant: WorldTenant, { concurrency, fault }: KillRun) =>
  async (plan: KillPlan | undefined) => {
    const dir = dirname(await tenant.folder('worker', integration));
    await mkdir(join(dir, 'secrets'), { recursive: true });
    await writeFile(join(dir, 'flow.json'), JSON.stringify(flowOf(concurrency)));
    const child = spawn(process.execPath, [program('test/runtime/engine/faulty-worker.ts'), 'worker'], {
      cwd: root,
      env: {
        ...process.env,
        KANAVA_DIR: dir,
        KANAVA_TENANT: 'acme',
        KANAVA_INTEGRATION: integration,
        KANAVA_LOG_LEVEL: 'fatal',
        TEST_FAULT: fault ?? 'none',
        TEST_KILL: JSON.stringify(plan ?? null),
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (chunk) => (output += String(chunk)));
    const ended = once(child, 'close').then((): LastWords => {
      const line = output.split('\n').find((each) => each.startsWith('{"killed"'));
      if (!line) throw new Error(`a worker ended without its last words (${child.exitCode}): ${output}`);
      return JSON.parse(line) as LastWords;
    });
    return { ended, stop: () => child.kill('SIGTERM') };
  };

const count = async (manager: JetStreamManager, sent: number) => {
  const [stored, letters] = await Promise.all([readAll(manager, 'bus'), readAll(manager, 'dlq_orders')]);
  const times = new Map<string, number>();
  const dead = new Set<string>();
  let changed = 0;
  let innocents = 0;
  const known = (id: string, body: string): PlannedBody | undefined => {
    const { n } = JSON.parse(body) as PlannedBody;
    if (n < sent && id === idOf(n) && JSON.stringify(bodyOf(n)) === body) return bodyOf(n);
    changed += 1;
    return undefined;
  };
  for (const { subject, id, body } of stored) {
    known(id, body);
    times.set(`${subject} ${id}`, (times.get(`${subject} ${id}`) ?? 0) + 1);
  }
  for (const { id, body } of letters) {
    if (known(id, body)?.rejected === false) innocents += 1;
    dead.add(id);
  }
  let [lost, deadLettersMissing] = [0, 0];
  for (let n = 0; n < sent; n += 1) {
    const id = idOf(n);
    if (bodyOf(n).rejected) deadLettersMissing += dead.has(id) ? 0 : 1;
    else if (!dead.has(id) && !(times.has(`bus.plain ${id}`) && times.has(`bus.deduplicated ${id}`))) lost += 1;
  }
  const again = (subject: string) =>
    [...times].reduce((sum, [key, each]) => sum + (key.startsWith(`${subject} `) ? each - 1 : 0), 0);
  return {
    sent,
    lost,
    changed,
    innocents,
    deadLettersMissing,
    duplicates: again('bus.plain'),
    duplicatesWithId: again('bus.deduplicated'),
  };
};

const summary = (words: readonly LastWords[]) => {
  const deaths = words.filter(({ killed }) => killed !== 'no');
  const sum = (of: keyof Omit<LastWords, 'killed'>, all = words) => all.reduce((total, each) => total + each[of], 0);
  const killed = Object.fromEntries(
    killPoints.map((point) => [point, deaths.filter((each) => each.killed === point).length]),
  ) as Record<KillPoint, number>;
  return {
    killed,
    inFlightAtKills: sum('running', deaths),
    redelivered: sum('redelivered'),
    suspects: sum('suspects'),
  };
};

/** mulberry32: the same kills with the same seed. */
const randomFrom = (seed: number) => {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};
