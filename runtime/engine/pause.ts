import type { Log } from '../connector.ts';
import { backoffMs, type Failure, type RetryPolicy } from './retry.ts';

/*
 * Wrong configuration or credentials fail every message alike. Then nothing more is started: after a growing wait one message is tried,
 * and the first that does not fail in this way ends the pause.
 */
export interface Pause {
  /** Whether a message may start now; while paused, one at a time, after the wait. */
  mayStart(): boolean;
  started(): void;
  ended(fatal: Failure | undefined): void;
  /** What was tried did not get as far as to tell. */
  saidNothing(): void;
  /** What is wrong, while paused. */
  reason(): { readonly part: string; readonly code: string } | undefined;
}

const longestMs = 60_000;

export const createPause = (options: {
  readonly policy: RetryPolicy;
  readonly now: () => number;
  readonly random: () => number;
  readonly log: Log;
}): Pause => {
  const { policy, now, random, log } = options;
  let failed: Failure | undefined;
  let waits = 0;
  let until = 0;
  let probing = false;

  return {
    mayStart: () => failed === undefined || (!probing && now() >= until),
    started() {
      if (failed) probing = true;
    },
    ended(fatal) {
      if (fatal) {
        // Those that ran already when the first one failed say nothing new.
        if (failed && !probing) return;
        failed = fatal;
        probing = false;
        waits += 1;
        const waitMs = Math.min(longestMs, backoffMs(policy, waits, random));
        until = now() + waitMs;
        const { part, code, message } = fatal;
        log.error({ part, code, reason: message, waitMs }, 'paused: configuration or credentials are wrong');
      } else if (failed && probing) {
        log.info({ part: failed.part }, 'goes on after the pause');
        failed = undefined;
        waits = 0;
        probing = false;
      }
    },
    saidNothing: () => void (probing = false),
    reason: () => failed && { part: failed.part, code: failed.code },
  };
};
