import type { Fate, Log } from '../connector.ts';
import { reasonOf } from '../errors.ts';
import type { Flow } from '../flow.ts';
import type { Message } from '../message.ts';
import { decodeMessage } from '../nats/envelope.ts';
import type { Counters } from '../telemetry.ts';
import type { Delivery, Transport } from '../transport/transport.ts';
import type { Attempts, BegunAttempt, RunningAttempt } from './attempts.ts';
import { createBodies } from './bodies.ts';
import { courseOf, replayOf } from './course.ts';
import { deadLetter } from './dead-letter.ts';
import { isUnanswered, mayPass, persistently } from './insistence.ts';
import type { Job, Memory } from './job.ts';
import { type Arrival, travel } from './journey.ts';
import { createMemories, memoryOf } from './memories.ts';
import type { Mover } from './mover.ts';
import type { Parts } from './parts.ts';
import { deadlyAfter, fresh, isSuspect, type MessageRecord, type Passed, type Records, type Stored } from './record.ts';
import { delayMs, type Failure, failureOf, judge, poisonOf, type RetryPolicy } from './retry.ts';

/**
 * `suspect`: hand it in again to be run alone. `again`: hand it in again after the delay; the broker still counts on this worker.
 * `parked` and `released`: the broker will deliver it again.
 */
export interface Outcome {
  readonly kind: 'done' | 'parked' | 'released' | 'suspect' | 'again';
  readonly delayMs?: number;
  /** Configuration or credentials: what failed. */
  readonly fatal?: Failure | undefined;
}

export interface HandlerOptions {
  readonly flow: Flow;
  readonly parts: Parts;
  readonly transport: Transport;
  readonly records: Records;
  readonly attempts: Attempts;
  readonly policy: RetryPolicy;
  /** Where order is kept: for what must go through the inbox first. */
  readonly mover: Mover | undefined;
  /** Whether a failed message waits here for its next attempt instead of being parked with the broker. */
  readonly mayWait: (job: Job, delayMs: number, fatal: boolean) => boolean;
  readonly counters: Counters;
  readonly log: Log;
  readonly now: () => number;
  readonly random: () => number;
}

/*
 * What happens to one delivery, in this order and no other:
 *   1. what is remembered of it (only if it was delivered before)
 *   2. a suspect's start mark
 *   3. steps and sinks; or into the inbox, where order is kept and it comes from elsewhere
 *   4. all confirmed: ack, confirmed by the broker; then its record goes
 *   5. failed for good: dead letters; all settled: as 4
 *   6. else it waits here for its next attempt, when the wait is short or its key's order depends on it
 *   7. else: record, then NAK with a delay
 * It never rejects. A worker that dies anywhere in between leaves the message with the broker.
 */
export const createHandler = (options: HandlerOptions) => {
  const { flow, parts, transport, attempts, policy, mover, mayWait, counters, log, now, random } = options;
  const memories = createMemories(options);
  const bodies = createBodies(transport, { integration: flow.integration, log });

  const handle = async (job: Job, alone: boolean): Promise<Outcome> => {
    const { delivery } = job;
    const memory = job.memory ?? (await memories.recall(delivery));
    if (isSuspect(delivery, memory.stored.record)) {
      if (!alone) return { kind: 'suspect' };
      const { record } = memory;
      const deaths = record.deaths + (record.started ? 1 : 0);
      if (deaths >= deadlyAfter)
        return await settle(job, memory, { failures: [poisonOf(firstPart(parts), record, deaths)] }, undefined);
      job.memory = await memories.mark(delivery, memory, deaths);
    } else job.memory = memory;
    return await attempt(job, job.memory);
  };

  const attempt = async (job: Job, before: Memory | undefined): Promise<Outcome> => {
    const { delivery } = job;
    const { attempts: failed, confirmed } = before?.record ?? untried;
    const replay = replayOf(delivery, flow.integration);
    const running =
      before || replay !== undefined
        ? attempts.begin(failed + 1, delivery, { replay, repeated: before !== undefined })
        : attempts.begin(1, delivery);
    let arrival: Arrival;
    try {
      if (mover?.concerns(delivery)) {
        await mover.move(delivery);
        arrival = { failures: [], filtered: false, confirmed };
      } else {
        const way = { course: courseOf(delivery, flow.integration), confirmed };
        const message = decode(delivery);
        arrival = await (bodies.isLarge(delivery)
          ? bodies.travel(delivery, message, parts, running, { ...way, ...portionsOf(job, running) })
          : travel(parts, message, running, way));
      }
    } catch (error) {
      const failure = failureOf(firstPart(parts), undefined, error, running.timedOut());
      arrival = { failures: [failure], filtered: false, confirmed };
    }
    running.end();
    if (arrival.failures.length === 0) {
      if (arrival.filtered) counters.filtered += 1;
      // Since before, if it went in portions.
      const { memory } = job;
      if (running.settle) await tell(delivery, running, memory?.record.buried ? 'withdrawn' : 'delivered');
      if (memory) await done(delivery, memory.stored);
      else await acked(delivery);
      if (bodies.isLarge(delivery) && !memory?.record.buried) await bodies.done(delivery);
      return finished;
    }
    return await undelivered(job, running, arrival);
  };

  /** Apart from `attempt`: what one function holds while it waits is held for every message. */
  const undelivered = async (job: Job, running: BegunAttempt, arrival: Arrival): Promise<Outcome> => {
    const { delivery } = job;
    const memory = job.memory ?? memoryOf(fresh(delivery, running.startedAt, 0));
    const after = { ...memory, record: { ...memory.record, confirmed: arrival.confirmed } };
    job.memory = after;
    if (attempts.stopping() && running.timedOut()) return await release(job);
    await Promise.all(arrival.failures.map(reopenIfGone));
    // What waits for others must not hold what they wait for.
    if (arrival.confirmed.length === 0 && arrival.failures.every(({ instruction }) => instruction === 'postpone'))
      await tell(delivery, running, 'withdrawn');
    return await settle(job, after, arrival, running);
  };

  /** A body that becomes many messages: those that are settled are written down now and then, and are nobody's memory any more. */
  const portionsOf = (job: Job, running: BegunAttempt) => ({
    passed: job.memory?.record.passed,
    buried: job.memory?.record.buried,
    async pass(passed: Passed) {
      const { delivery, memory = memoryOf(fresh(delivery, running.startedAt, 0)) } = job;
      job.memory = await memories.pass(delivery, memory, passed);
      running.renew(now());
    },
  });

  /** Before the ack: what is not told yet is told at the next delivery. A step that cannot write it down forgets too early, not too much. */
  const tell = async (delivery: Delivery, attempt: RunningAttempt, fate: Fate): Promise<void> => {
    const { settle } = attempt;
    if (settle) await persistently(() => settle(fate)).catch((error: unknown) => memories.refused(delivery, error));
  };

  const done = async (delivery: Delivery, stored: Stored): Promise<Outcome> => {
    await acked(delivery);
    await memories.forget(delivery, stored);
    return finished;
  };

  const acked = (delivery: Delivery): Promise<void> =>
    delivery.ack().then(countAcked, async (error: unknown) => {
      // What was moved is in the inbox under its id: a shared stream may have dropped it meanwhile, and then nobody answers.
      if (mover?.concerns(delivery) && isUnanswered(error)) return;
      if (!mayPass(error)) throw error;
      await persistently(() => delivery.ack());
      countAcked();
    });
  const countAcked = () => void (counters.acked += 1);

  const settle = async (
    job: Job,
    memory: Memory,
    { failures, passed }: Pick<Arrival, 'failures' | 'passed'>,
    attempted: RunningAttempt | undefined,
  ): Promise<Outcome> => {
    const { delivery } = job;
    const { stored, record } = memory;
    const { attempts: count, deadLetters, retries } = judge(policy, record.attempts, failures);
    const counted = attempted ? count : record.attempts;
    const settled = new Set(record.confirmed);
    const waits = [...retries];
    let whole = false;
    for (const failure of deadLetters) {
      if (await buried(delivery, { ...record, attempts: counted }, failure)) {
        if (failure.key === undefined) whole = true;
        else settled.add(failure.key);
      } else waits.push(failure);
    }
    if (passed && !whole && waits.length === 0) {
      if (attempted) await tell(delivery, attempted, 'withdrawn');
      job.memory = await memories.pass(delivery, { ...memory, record: { ...record, buried: true } }, passed);
      return { kind: 'again', delayMs: 0 };
    }
    if (whole || waits.length === 0) {
      if (attempted) await tell(delivery, attempted, 'withdrawn');
      return await done(delivery, stored);
    }
    const buriedSome = record.buried || waits.length < failures.length;
    job.memory = {
      ...memory,
      record: { ...record, attempts: counted, confirmed: [...settled], buried: buriedSome },
    };
    return await wait(job, job.memory, waits);
  };

  const buried = async (delivery: Delivery, record: MessageRecord, failure: Failure): Promise<boolean> => {
    const entry = deadLetter(flow, delivery, record, failure, now());
    const where = { stream: delivery.stream, sequence: delivery.sequence, part: failure.part, code: failure.code };
    try {
      if (bodies.isLarge(delivery)) await bodies.keep(delivery);
      await transport.publish(entry);
      counters.deadLettered += 1;
      log.warn({ ...where, class: failure.class, attempts: record.attempts }, 'wrote a dead letter');
      return true;
    } catch (error) {
      counters.deadLettersRefused += 1;
      log.error(
        { ...where, reason: reasonOf(error) },
        'the dead letter was refused: the message is kept and tried again',
      );
      return false;
    }
  };

  const wait = async (job: Job, memory: Memory, failures: readonly Failure[]): Promise<Outcome> => {
    const { delivery } = job;
    const { record, stored } = memory;
    const fatal = failures.find((failure) => failure.class === 'fatal');
    const before = { attempts: record.attempts, waits: stored.record.naks + memory.waits };
    const delay = delayMs(policy, before, failures, random);
    const here = mayWait(job, delay, fatal !== undefined);
    counters.retried += 1;
    for (const { part, code, class: failureClass, instruction } of failures) {
      if (failureClass === 'fatal') counters.fatal += 1;
      const where = { stream: delivery.stream, sequence: delivery.sequence, part, code, class: failureClass };
      const fields = { ...where, attempts: record.attempts, delayMs: delay, parked: !here };
      if (instruction === 'postpone') log.debug(fields, 'a message was put off');
      else log.warn(fields, 'an attempt failed');
    }
    if (!here) {
      await memories.write(delivery, memory, 1);
      delivery.nak(delay);
      return { kind: 'parked', fatal };
    }
    // A suspect's mark must not outlive its attempt: others run while it waits.
    const known = stored.record.started ? await memories.write(delivery, memory, 0) : stored;
    job.memory = {
      stored: known,
      record: { ...record, started: false, deaths: 0 },
      waits: memory.waits + 1,
      since: memory.since || now(),
    };
    return { kind: 'again', delayMs: delay, fatal };
  };

  /** Gives a message back at once, with what happened to it. Shutting down is nobody's attempt. */
  const release = async (job: Job): Promise<Outcome> => {
    if (job.memory) await memories.write(job.delivery, job.memory, 1);
    job.delivery.nak(0);
    return { kind: 'released' };
  };

  const reopenIfGone = async ({ part, instruction }: Failure) => {
    if (instruction !== 'reconnect') return;
    const found = [...parts.steps, ...parts.flowSteps, ...parts.sinks].find(({ name }) => name === part);
    await found?.reopen().catch((error: unknown) => log.warn({ part, reason: reasonOf(error) }, 'closing failed'));
  };

  return {
    release,
    async handle(job: Job, alone: boolean): Promise<Outcome> {
      try {
        // As most are: nothing is known of it, and nothing needs to be.
        const isNew = !job.memory && job.delivery.deliveries === 1;
        return await (isNew ? attempt(job, undefined) : handle(job, alone));
      } catch (error) {
        const { stream, sequence } = job.delivery;
        log.error({ stream, sequence, reason: reasonOf(error) }, 'a message was given back to the broker');
        if (mayWait(job, givenBackMs, true)) return { kind: 'again', delayMs: givenBackMs };
        job.delivery.nak(givenBackMs);
        return { kind: 'released' };
      }
    },
  };
};

/** Of most messages: made once. */
const finished: Outcome = { kind: 'done' };
const givenBackMs = 1_000;

const untried: Pick<MessageRecord, 'attempts' | 'confirmed'> = { attempts: 0, confirmed: [] };

const decode = (delivery: Delivery): Message => decodeMessage(delivery.headers, delivery.body);

/** What concerns no part in particular is filed under the first one. */
const firstPart = ({ steps, sinks }: Parts): string => (steps[0] ?? sinks[0])?.name ?? 'worker';
