import { type FailureClass, type Instruction, InstructionError, reasonOf } from '../errors.ts';
import type { MessageRecord } from './record.ts';

/** A failure of one step or sink, as it is counted, parked and written down. */
export interface Failure {
  /** Step or sink. */
  readonly part: string;
  /** What is settled by its dead letter: one sink for one message; `undefined` for a step: the whole message. */
  readonly key: string | undefined;
  readonly instruction: Instruction;
  readonly class: FailureClass;
  readonly code: string;
  readonly message: string;
  readonly afterMs: number | undefined;
}

/** Anything thrown becomes an instruction; what we do not know is tried again. */
export const failureOf = (part: string, key: string | undefined, error: unknown, timedOut: boolean): Failure => {
  if (error instanceof InstructionError) {
    const { instruction, failure, code, message, afterMs } = error;
    return { part, key, instruction, class: failure, code, message, afterMs };
  }
  const code = timedOut ? 'AttemptTimeout' : 'Unexpected';
  const message = timedOut ? 'the attempt took longer than delivery.timeout' : reasonOf(error);
  return { part, key, instruction: 'retry', class: 'transient', code, message, afterMs: undefined };
};

/** A worker died again and again while it ran this message alone. */
export const poisonOf = (part: string, { attempts }: Pick<MessageRecord, 'attempts'>, deaths: number): Failure => ({
  part,
  key: undefined,
  instruction: 'reject',
  class: 'poison',
  code: 'WorkerDied',
  message: `the worker died ${deaths} times while it ran this message alone (${attempts} failed attempts before)`,
  afterMs: undefined,
});

export interface RetryPolicy {
  readonly attempts: number;
  readonly initialMs: number;
  readonly maxMs: number;
}

const longestAfterMs = 3_600_000;

/** Exponential with jitter, between `initial` and `max`; `attempts` counts the failed ones, from 1. */
export const backoffMs = ({ initialMs, maxMs }: RetryPolicy, attempts: number, random: () => number): number => {
  const ceiling = Math.min(maxMs, initialMs * 2 ** Math.min(attempts - 1, 30));
  return Math.round(Math.max(Math.min(initialMs, maxMs), ceiling * (0.5 + random() / 2)));
};

export interface Verdict {
  /** Failed attempts so far, this one included. */
  readonly attempts: number;
  readonly deadLetters: readonly Failure[];
  readonly retries: readonly Failure[];
}

/**
 * Configuration and credentials (`fatal`) are nobody's attempt: the message waits for the repair, since a wrong password must not turn an
 * inbox into dead letters. Neither is it an attempt when a message was postponed.
 */
const isAttempt = ({ instruction, class: failure }: Failure): boolean =>
  instruction === 'reject' || (instruction !== 'postpone' && failure !== 'fatal');

/** What becomes of an attempt's failures. A rejection is final at once; anything else when the attempts are used up. */
export const judge = (policy: RetryPolicy, attemptsBefore: number, failures: readonly Failure[]): Verdict => {
  const attempts = failures.some(isAttempt) ? attemptsBefore + 1 : attemptsBefore;
  const isFinal = (failure: Failure) =>
    failure.instruction === 'reject' || (isAttempt(failure) && attempts >= policy.attempts);
  return {
    attempts,
    deadLetters: failures.filter(isFinal),
    retries: failures.filter((failure) => !isFinal(failure)),
  };
};

/**
 * How long a message waits for its next attempt: as long as the slowest of its failures needs. `waits` counts how often it waited
 * before: failures that are nobody's attempt wait longer and longer too.
 */
export const delayMs = (
  policy: RetryPolicy,
  before: { readonly attempts: number; readonly waits: number },
  failures: readonly Failure[],
  random: () => number,
): number => {
  const backoff = backoffMs(policy, Math.max(before.attempts, 1), random);
  return Math.max(
    ...failures.map((failure) => {
      if (failure.afterMs !== undefined) return Math.min(Math.max(failure.afterMs, 0), longestAfterMs);
      if (failure.instruction === 'reject') return policy.maxMs;
      return !isAttempt(failure) ? backoffMs(policy, before.waits + 1, random) : backoff;
    }),
  );
};

/** Short waits are spent in memory, without a trace in the broker; longer ones are parked there. */
const longestInMemoryMs = 2_000;
const mostInMemoryMs = 5_000;

export const isShort = (delay: number, spentMs: number): boolean =>
  delay <= longestInMemoryMs && spentMs + delay <= mostInMemoryMs;
