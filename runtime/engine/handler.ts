import type { Log } from '../connector.ts';
import { reasonOf } from '../errors.ts';
import type { Flow } from '../flow.ts';
import type { Message } from '../message.ts';
import { decodeMessage } from '../nats/envelope.ts';
import type { Counters } from '../telemetry.ts';
import { type Delivery, type Transport, TransportError } from '../transport/transport.ts';
import type { Attempts } from './attempts.ts';
import { courseOf, replayOf } from './course.ts';
import { deadLetter } from './dead-letter.ts';
import { type Arrival, travel } from './journey.ts';
import type { Parts } from './parts.ts';
import { deadlyAfter, fresh, isSuspect, type MessageRecord, type Records, type Stored } from './record.ts';
import { delayMs, type Failure, failureOf, judge, type RetryPolicy } from './retry.ts';

/** `suspect`: hand it in again to be run alone. `released`: the broker will deliver it again. */
export type Outcome = 'done' | 'parked' | 'released' | 'suspect';

export interface HandlerOptions {
  readonly flow: Flow;
  readonly parts: Parts;
  readonly transport: Transport;
  readonly records: Records;
  readonly attempts: Attempts;
  readonly policy: RetryPolicy;
  readonly counters: Counters;
  readonly log: Log;
  readonly now: () => number;
  readonly random: () => number;
}

/*
 * What happens to one delivery, in this order and no other:
 *   1. what is remembered of it (only if it was delivered before)
 *   2. a suspect's start mark
 *   3. steps and sinks
 *   4. all confirmed: ack, confirmed by the broker; then its record goes
 *   5. failed for good: dead letters; all settled: as 4
 *   6. else: record, then NAK with a delay
 * It never rejects. A worker that dies anywhere in between leaves the message with the broker.
 */
export const createHandler = (options: HandlerOptions) => {
  const { flow, parts, transport, records, attempts, policy, counters, log, now, random } = options;

  const handle = async (delivery: Delivery, alone: boolean): Promise<Outcome> => {
    let stored = delivery.deliveries > 1 ? await remembered(delivery) : fresh(delivery, now(), 0);
    if (isSuspect(delivery, stored.record)) {
      if (!alone) return 'suspect';
      const deaths = stored.record.deaths + (stored.record.started ? 1 : 0);
      if (deaths >= deadlyAfter) {
        return await settle(delivery, stored, [], [poison(stored.record, deaths, parts)], false);
      }
      stored = await records.write(delivery, stored, (record) => ({ ...record, started: true, deaths }));
    }
    const confirmed = new Set(stored.record.confirmed);
    const attempt = attempts.begin(stored.record.attempts + 1, replayOf(delivery, flow.integration));
    let arrival: Arrival;
    try {
      arrival = await travel(parts, courseOf(delivery, flow.integration), decode(delivery), attempt, confirmed);
    } catch (error) {
      arrival = { failures: [failureOf(firstPart(parts), undefined, error, attempt.timedOut())], filtered: false };
    } finally {
      attempt.end();
    }
    if (arrival.failures.length === 0) {
      if (arrival.filtered) counters.filtered += 1;
      return await done(delivery, stored);
    }
    if (attempts.stopping() && attempt.timedOut()) {
      await records.write(delivery, stored, (record) => released(record, confirmed));
      delivery.nak(0);
      return 'released';
    }
    await Promise.all(arrival.failures.map(reopenIfGone));
    return await settle(delivery, stored, [...confirmed], arrival.failures, true);
  };

  /** Without it nobody knows which sinks have the message already: it waits for the bucket. */
  const remembered = async (delivery: Delivery): Promise<Stored> => {
    try {
      return await records.read(delivery);
    } catch (error) {
      counters.stateRefused += 1;
      throw error;
    }
  };

  const done = async (delivery: Delivery, stored: Stored): Promise<Outcome> => {
    await persistently(() => delivery.ack());
    counters.acked += 1;
    if (stored.revision > 0) {
      // What stays behind is harmless: the record names its message, and sequence numbers do not come back.
      await records.remove(delivery).catch((error: unknown) => stateRefused(delivery, error));
    }
    return 'done';
  };

  const settle = async (
    delivery: Delivery,
    stored: Stored,
    confirmed: readonly string[],
    failures: readonly Failure[],
    attempted: boolean,
  ): Promise<Outcome> => {
    const { attempts: count, deadLetters, retries } = judge(policy, stored.record.attempts, failures);
    const counted = attempted ? count : stored.record.attempts;
    const settled = new Set(confirmed);
    const waits = [...retries];
    let whole = false;
    for (const failure of deadLetters) {
      if (await buried(delivery, { ...stored.record, attempts: counted }, failure)) {
        if (failure.key === undefined) whole = true;
        else settled.add(failure.key);
      } else waits.push(failure);
    }
    if (whole || waits.length === 0) return await done(delivery, stored);
    return await park(delivery, stored, { attempts: counted, confirmed: settled, waits });
  };

  const buried = async (delivery: Delivery, record: MessageRecord, failure: Failure): Promise<boolean> => {
    const entry = deadLetter(flow, delivery, record, failure, now());
    const where = { stream: delivery.stream, sequence: delivery.sequence, part: failure.part, code: failure.code };
    try {
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

  const park = async (
    delivery: Delivery,
    stored: Stored,
    outcome: { attempts: number; confirmed: ReadonlySet<string>; waits: readonly Failure[] },
  ): Promise<Outcome> => {
    const delay = delayMs(policy, outcome.attempts, outcome.waits, random);
    const gained = outcome.attempts - stored.record.attempts;
    try {
      await records.write(delivery, stored, (record) => ({
        ...record,
        attempts: record.attempts + gained,
        naks: record.naks + 1,
        confirmed: [...new Set([...record.confirmed, ...outcome.confirmed])],
        started: false,
        deaths: 0,
      }));
    } catch (error) {
      stateRefused(delivery, error);
    }
    delivery.nak(delay);
    counters.retried += 1;
    for (const failure of outcome.waits) {
      if (failure.class === 'fatal') counters.fatal += 1;
      const { part, code } = failure;
      const where = { stream: delivery.stream, sequence: delivery.sequence, part, code, class: failure.class };
      log.warn({ ...where, attempts: outcome.attempts, delayMs: delay }, 'an attempt failed');
    }
    return 'parked';
  };

  const stateRefused = (delivery: Delivery, error: unknown) => {
    counters.stateRefused += 1;
    const { stream, sequence } = delivery;
    log.error({ stream, sequence, reason: reasonOf(error) }, 'the state bucket refused a record');
  };

  const reopenIfGone = async ({ part, instruction }: Failure) => {
    if (instruction !== 'reconnect') return;
    const found = [...parts.steps, ...parts.flowSteps, ...parts.sinks].find(({ name }) => name === part);
    await found?.reopen().catch((error: unknown) => log.warn({ part, reason: reasonOf(error) }, 'closing failed'));
  };

  return async (delivery: Delivery, alone: boolean): Promise<Outcome> => {
    try {
      return await handle(delivery, alone);
    } catch (error) {
      const { stream, sequence } = delivery;
      log.error({ stream, sequence, reason: reasonOf(error) }, 'a message was given back to the broker');
      delivery.nak(givenBackMs);
      return 'released';
    }
  };
};

const givenBackMs = 1_000;
const mostAckTries = 12;

/** An ack that got no answer is sent again: without it the sinks would be called once more. */
const persistently = async (act: () => Promise<void>): Promise<void> => {
  for (let tries = 1; ; tries += 1) {
    try {
      return await act();
    } catch (error) {
      if (tries === mostAckTries || !(error instanceof TransportError) || error.code === 'Denied') throw error;
    }
  }
};

const decode = (delivery: Delivery): Message => decodeMessage(delivery.headers, delivery.body);

/** What concerns no part in particular is filed under the first one. */
const firstPart = ({ steps, sinks }: Parts): string => (steps[0] ?? sinks[0])?.name ?? 'worker';

/** Shutting down is nobody's attempt. */
const released = (record: MessageRecord, confirmed: ReadonlySet<string>): MessageRecord => ({
  ...record,
  naks: record.naks + 1,
  confirmed: [...new Set([...record.confirmed, ...confirmed])],
  started: false,
});

const poison = (record: MessageRecord, deaths: number, parts: Parts): Failure => ({
  part: firstPart(parts),
  key: undefined,
  instruction: 'reject',
  class: 'poison',
  code: 'WorkerDied',
  message: `the worker died ${deaths} times while it ran this message alone (${record.attempts} failed attempts before)`,
  afterMs: undefined,
});
