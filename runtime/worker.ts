import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { catalog } from './catalog.ts';
import type { Log } from './connector.ts';
import { createEgress } from './egress.ts';
import { createCalls } from './engine/calls.ts';
import { consumersOf } from './engine/consumers.ts';
import { createEngine } from './engine/engine.ts';
import { createOwnInbox } from './engine/own-inbox.ts';
import { openParts } from './engine/parts.ts';
import { createPausedSign } from './engine/paused-sign.ts';
import { createPeers } from './engine/peers.ts';
import { createPublisher } from './engine/publisher.ts';
import { createStepMemory } from './engine/step-memory.ts';
import { answersRequests } from './flow.ts';
import { mountedValues, readFlow } from './mounted.ts';
import { callSubject, peerSubject } from './nats/names.ts';
import { type Counters, count, type Gauge, interruptionTally, newCounters, serveHealth } from './telemetry.ts';
import { connectTransport } from './transport/jetstream.ts';
import type { ConsumerFill } from './transport/transport.ts';

export interface WorkerSettings {
  /** Holds `flow.json`, `nats/`, `secrets/` and `configs/`. */
  readonly dir: string;
  /** Holds the mounted volumes by the names of their claims. */
  readonly volumes: string;
  readonly healthPort: number;
  /** From SIGTERM to the end. */
  readonly graceMs: number;
}

/** How long a start may take before the health port answers: as long as NATS is away, for one. */
const healthAfterMs = 100;

/** The worker as a process. A usual start pulls before it opens the health port: nobody asks so early, and the first message waits. */
export const runWorker = async (settings: WorkerSettings, log: Log): Promise<{ close(): Promise<void> }> => {
  const counters = newCounters();
  const interruptions = new Map<string, number>();
  let worker: Worker | undefined;
  const gauge = (name: string, help: string, value: (of: Worker) => number): Gauge => ({
    name,
    help,
    value: () => (worker ? value(worker) : 0),
  });
  const serving = () =>
    serveHealth({
      port: settings.healthPort,
      ready: () => worker?.ready() ?? { ok: false, detail: { nats: 'connecting' } },
      counters,
      tallies: [interruptionTally(interruptions)],
      gauges: [
        gauge('held', 'Messages held by this worker.', ({ load }) => load().held),
        gauge('running', 'Messages in work.', ({ load }) => load().running),
        gauge('partitions', 'Partitions that this worker reads in order.', ({ load }) => load().partitions),
        gauge('pending', 'Stored, not delivered yet.', ({ fill }) => fill('pending')),
        gauge('ack_pending', 'Delivered or parked, not done.', ({ fill }) => fill('ackPending')),
        gauge('ready', 'Connected and pulling.', ({ ready }) => Number(ready().ok)),
      ],
    });
  const starting = startWorker({
    folder: settings.dir,
    volumes: settings.volumes,
    counters,
    interrupted: (reason) => count(interruptions, reason),
    log,
    closed: (error) => {
      log.error({ reason: error?.message }, 'the worker cannot go on without NATS');
      process.exitCode = 1;
      process.kill(process.pid, 'SIGTERM');
    },
  });
  await Promise.race([starting, pause(healthAfterMs)]);
  const [health, started] = await Promise.all([serving(), starting]);
  worker = started;
  return {
    async close() {
      await started.stop(settings.graceMs);
      await health.close();
    },
  };
};

interface Worker {
  ready(): { ok: boolean; detail: Readonly<Record<string, unknown>> };
  load(): { held: number; running: number; partitions: number };
  /** Sum over the consumers, as last seen. */
  fill(of: 'pending' | 'ackPending'): number;
  /** Stops pulling, finishes what runs, gives back the rest. */
  stop(graceMs: number): Promise<void>;
}
interface WorkerOptions {
  readonly folder: string;
  readonly volumes: string;
  readonly counters: Counters;
  readonly interrupted: (reason: string) => void;
  readonly closed: (error: Error | undefined) => void;
  readonly log: Log;
}

const fillEveryMs = 5_000;
const signEveryMs = 1_000;

const startWorker = async ({ folder, volumes, counters, interrupted, closed, log }: WorkerOptions): Promise<Worker> => {
  const flow = readFlow(folder);
  const consumers = consumersOf(flow, catalog.sources);
  const shutdown = new AbortController();
  let stopping = false;
  const connecting = connectTransport({
    folder: join(folder, 'nats'),
    role: 'worker',
    integration: flow.integration,
    name: `worker ${flow.integration}`,
    log,
    onClosed: (error) => {
      if (!stopping) closed(error);
    },
    onTrouble: interrupted,
  });
  const [transport, parts] = await Promise.all([
    connecting,
    openParts(flow, catalog, {
      ...mountedValues(folder),
      egress: createEgress(flow.egress),
      volume: (claim) => join(volumes, claim),
      publisher: createPublisher(connecting, flow.integration),
      memory: createStepMemory(connecting, flow.integration),
      own: createOwnInbox(connecting, flow),
      now: Date.now,
      signal: shutdown.signal,
      log,
    }),
  ]);
  const peers =
    flow.delivery.ordering === 'Key'
      ? createPeers({
          notices: transport,
          subject: peerSubject(flow.integration),
          id: randomUUID(),
          healthy: transport.healthy,
          now: Date.now,
        })
      : undefined;
  const engine = createEngine({ flow, parts, transport, counters, log, ...(peers ? { peers } : {}) });
  engine.start(consumers);
  const calls = createCalls({ flow, parts, counters, log });
  const serving = answersRequests(flow.sources)
    ? transport.serve(callSubject(flow.integration), flow.integration, calls.handle)
    : undefined;
  log.info({ generation: flow.generation, consumers }, 'worker pulls');

  const sign = createPausedSign(transport.state, flow.integration, log);
  const signing = setInterval(() => sign.show(engine.paused()), signEveryMs);

  // Parked retries count against max_ack_pending: at its end the broker delivers nothing new and says nothing.
  const fills = new Map<string, ConsumerFill>();
  const look = async () => {
    for (const consumer of consumers) {
      const fill = await transport.fill(consumer).catch(() => undefined);
      if (fill) fills.set(`${consumer.stream}/${consumer.name}`, fill);
    }
  };
  const looking = setInterval(() => void look(), fillEveryMs);
  // Where order is kept nothing is parked, and a full window is usual.
  const parkedFull = () =>
    flow.delivery.ordering === 'None' &&
    [...fills.values()].some(({ ackPending, maxAckPending }) => maxAckPending > 0 && ackPending >= maxAckPending);

  return {
    ready: () => ({
      ok: transport.healthy() && !stopping && !engine.paused(),
      detail: {
        nats: transport.trouble() ?? 'pulling',
        paused: engine.paused() ?? false,
        parkedFull: parkedFull(),
        deadLettersRefused: counters.deadLettersRefused,
        stateRefused: counters.stateRefused,
      },
    }),
    load: engine.load,
    fill: (of) => [...fills.values()].reduce((total, fill) => total + fill[of], 0),
    async stop(graceMs) {
      stopping = true;
      clearInterval(looking);
      await serving?.stop();
      await Promise.all([engine.drain(graceMs), calls.drain(graceMs)]);
      clearInterval(signing);
      await sign.close();
      shutdown.abort();
      await parts.close();
      await transport.close();
    },
  };
};
