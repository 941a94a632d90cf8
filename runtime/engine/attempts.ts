import type { Attempt } from '../connector.ts';

/*
 * Deadlines of all running attempts, checked by the engine's one timer: their time-out is the same, so the oldest comes first. A part
 * that does not obey its signal is left behind a little later, so that it cannot hold a message for ever.
 */
export interface RunningAttempt extends Attempt {
  readonly timedOut: () => boolean;
  /** Rejects when the attempt is left behind. */
  readonly abandoned: Promise<never>;
  end(): void;
}
export interface Attempts {
  begin(number: number): RunningAttempt;
  tick(now: number): void;
  /** The grace period is over: ends all of them. */
  abortAll(): void;
  readonly stopping: () => boolean;
}

const leaveBehindAfterMs = 5_000;

interface Running {
  readonly controller: AbortController;
  readonly startedAt: number;
  readonly abandon: (reason: unknown) => void;
}

export const createAttempts = (timeoutMs: number, now: () => number): Attempts => {
  const running = new Set<Running>();
  let stopping = false;
  const timeout = () => new DOMException('delivery.timeout has passed', 'TimeoutError');
  return {
    begin(number) {
      const controller = new AbortController();
      const { promise: abandoned, reject: abandon } = Promise.withResolvers<never>();
      abandoned.catch(() => undefined);
      const entry: Running = { controller, startedAt: now(), abandon };
      running.add(entry);
      return {
        number,
        signal: controller.signal,
        timedOut: () => controller.signal.aborted,
        abandoned,
        end: () => void running.delete(entry),
      };
    },
    tick(time) {
      for (const entry of running) {
        const age = time - entry.startedAt;
        if (age < timeoutMs) return;
        if (!entry.controller.signal.aborted) entry.controller.abort(timeout());
        else if (age > timeoutMs + leaveBehindAfterMs) {
          entry.abandon(timeout());
          running.delete(entry);
        }
      }
    },
    stopping: () => stopping,
    abortAll() {
      stopping = true;
      for (const { controller, abandon } of running) {
        controller.abort(new DOMException('the worker shuts down', 'AbortError'));
        abandon(new DOMException('the worker shuts down', 'AbortError'));
      }
    },
  };
};
