import type { Log } from '../connector.ts';
import type { Flow } from '../flow.ts';
import { milliseconds } from '../schema.ts';
import type { Counters } from '../telemetry.ts';
import type { Consumption, Delivery, Transport } from '../transport/transport.ts';
import { createAttempts } from './attempts.ts';
import { createLanes, createQueue } from './backlog.ts';
import type { Consumer } from './consumers.ts';
import { createHandler } from './handler.ts';
import { createHeld } from './held.ts';
import type { Job } from './job.ts';
import { laneOf } from './lane-key.ts';
import { createMover } from './mover.ts';
import { createOwnership } from './ownership.ts';
import { createPartition, type Partition } from './partition.ts';
import type { Parts } from './parts.ts';
import { createPause, type Pause } from './pause.ts';
import type { Peers } from './peers.ts';
import { createRecords } from './record.ts';
import { isShort, type RetryPolicy } from './retry.ts';
import { type After, createScheduler } from './scheduler.ts';

/*
 * The worker's core, on a Transport and open Parts: pulls as much as it can hold, and gives back what it cannot finish. When which
 * message runs is in scheduler.ts, what happens to one in handler.ts.
 */
export interface EngineOptions {
  readonly flow: Flow;
  readonly parts: Parts;
  readonly transport: Transport;
  readonly counters: Counters;
  readonly log: Log;
  /** Other workers of the Integration, where partitions are divided among them. */
  readonly peers?: Peers;
  readonly now?: () => number;
  readonly random?: () => number;
  readonly after?: After;
}
export interface Engine {
  start(consumers: readonly Consumer[]): void;
  /** Stops pulling, lets what runs finish within `graceMs`, gives back the rest. */
  drain(graceMs: number): Promise<void>;
  readonly load: () => { held: number; running: number; partitions: number };
  /** Set while nothing is started because configuration or credentials are wrong. */
  readonly paused: Pause['reason'];
}

export const createEngine = (options: EngineOptions): Engine => {
  const { flow, transport, counters, now = Date.now, random = Math.random } = options;
  const { concurrency } = flow.delivery;
  const inOrder = flow.delivery.ordering === 'Key';
  const timeoutMs = milliseconds(flow.delivery.timeout) ?? 30_000;
  const policy = policyOf(flow);
  const held = createHeld();
  const attempts = createAttempts(timeoutMs, now);
  const records = createRecords(transport.state, flow.integration, now);
  const pause = createPause({ policy, now, random, log: options.log });
  const handler = createHandler({
    ...options,
    now,
    random,
    attempts,
    records,
    policy,
    mover: inOrder ? createMover(transport, flow) : undefined,
    // A key's later messages must not overtake: it waits here, however long.
    mayWait: (job, delayMs, fatal) =>
      inOrder ||
      (!fatal &&
        !scheduler.isAlone() &&
        scheduler.waiting() < Math.max(1, Math.floor(concurrency / 4)) &&
        isShort(delayMs, job.memory?.since ? now() - job.memory.since : 0)),
  });
  const consumptions: Consumption[] = [];
  const partitions: Partition[] = [];
  const scheduler = createScheduler({
    backlog: inOrder ? createLanes(laneOf(flow)) : createQueue(),
    concurrency,
    handler,
    pause,
    left(job) {
      held.remove(job);
      job.partition?.left(job);
      more();
    },
    counters,
    after: options.after ?? inRealTime,
  });

  const deliver = (partition: Partition | undefined) => (delivery: Delivery) => {
    counters.delivered += 1;
    const term = partition?.term() ?? 0;
    const job: Job = { delivery, partition, term, memory: undefined, lastSign: now(), place: -1 };
    if (partition && !partition.arrived(job)) return;
    held.add(job);
    if (!partition) scheduler.add([job]);
  };
  const credit = () => {
    if (scheduler.isStopping()) return 0;
    if (pause.reason()) return held.size() === 0 ? 1 : 0;
    return Math.max(0, 2 * concurrency - held.size());
  };
  const ownership = createOwnership({
    transport,
    window: 2 * concurrency,
    deliver,
    giveBack: scheduler.giveBack,
    peers: options.peers,
    log: options.log,
  });
  const more = () => {
    for (const consumption of consumptions) consumption.more();
    ownership.more();
  };
  const consume = ({ exclusive, ...consumer }: Consumer) => {
    if (!exclusive) return void consumptions.push(transport.consume(consumer, { credit, deliver: deliver(undefined) }));
    const fill = () => transport.fill(consumer);
    const partition = createPartition(`${consumer.stream}/${consumer.name}`, fill, scheduler.add);
    partitions.push(partition);
    ownership.add({ consumer, partition });
  };

  const timer = setInterval(
    () => {
      held.tick(now());
      attempts.tick(now());
      for (const partition of partitions) void partition.check();
      ownership.balance();
      if (!pause.reason()) return;
      scheduler.pump();
      more();
    },
    Math.min(250, Math.max(20, timeoutMs / 4)),
  );

  return {
    load: () => ({ held: held.size(), running: scheduler.running(), partitions: ownership.owned() }),
    paused: pause.reason,
    start(consumers) {
      for (const consumer of consumers) consume(consumer);
    },
    async drain(graceMs) {
      scheduler.stop();
      // Only when no pull is open any more: else the broker would deliver again what is given back.
      await Promise.all([ownership.stop(), ...consumptions.map((consumption) => consumption.stop())]);
      await scheduler.giveBack(() => true, []);
      const grace = setTimeout(attempts.abortAll, graceMs);
      await scheduler.idle();
      clearTimeout(grace);
      // After the last ack: whoever takes over has nothing to wait for.
      await ownership.handOver();
      clearInterval(timer);
    },
  };
};

const inRealTime: After = (ms, run) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

const policyOf = ({ delivery: { retry } }: Flow): RetryPolicy => ({
  attempts: retry.attempts,
  initialMs: milliseconds(retry.backoff.initial) ?? 1_000,
  maxMs: milliseconds(retry.backoff.max) ?? 300_000,
});
