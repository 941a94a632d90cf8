import type { Attempt, Fate } from '../connector.ts';
import { type Listener, tellAll } from './settlement.ts';

/*
 * Deadlines of all running attempts, checked by the engine's one timer: their time-out is the same, so the oldest comes first. A part
 * that does not obey its signal is left behind a little later, so that it cannot hold a message for ever. Signals are made when a part
 * asks for one: most attempts end without.
 */
export interface RunningAttempt extends Attempt {
  readonly timedOut: () => boolean;
  /** Settles as the work does, or rejects when the attempt is left behind. */
  orAbandoned<T>(work: Promise<T>): Promise<T>;
  /** Tells the steps that asked for it; nothing when none did. */
  readonly settle: ((fate: Fate) => Promise<void>) | undefined;
  end(): void;
}
export interface Attempts {
  /** `origin` is asked for by few. */
  begin(number: number, origin: () => string, replay?: number): RunningAttempt;
  tick(now: number): void;
  /** The grace period is over: ends all of them. */
  abortAll(): void;
  readonly stopping: () => boolean;
}

const leaveBehindAfterMs = 5_000;

interface Running extends RunningAttempt {
  readonly startedAt: number;
  abort(reason: DOMException): void;
  abandon(reason: DOMException): void;
}

export const createAttempts = (timeoutMs: number, now: () => number): Attempts => {
  const running = new Set<Running>();
  let stopping = false;
  const timeout = () => new DOMException('delivery.timeout has passed', 'TimeoutError');
  return {
    begin(number, origin, replay) {
      const attempt = startAttempt({ number, replay }, origin, now(), (ended) => running.delete(ended));
      running.add(attempt);
      return attempt;
    },
    tick(time) {
      for (const attempt of running) {
        const age = time - attempt.startedAt;
        if (age < timeoutMs) return;
        if (!attempt.timedOut()) attempt.abort(timeout());
        else if (age > timeoutMs + leaveBehindAfterMs) {
          attempt.abandon(timeout());
          running.delete(attempt);
        }
      }
    },
    stopping: () => stopping,
    abortAll() {
      stopping = true;
      for (const attempt of running) {
        attempt.abort(new DOMException('the worker shuts down', 'AbortError'));
        attempt.abandon(new DOMException('the worker shuts down', 'AbortError'));
      }
    },
  };
};

const startAttempt = (
  which: Pick<Attempt, 'number' | 'replay'>,
  originOf: () => string,
  startedAt: number,
  ended: (attempt: Running) => void,
): Running => {
  let controller: AbortController | undefined;
  let aborted: DOMException | undefined;
  let abandoned: DOMException | undefined;
  let leave: ((reason: DOMException) => void)[] | undefined;
  let listeners: Listener[] | undefined;
  const attempt: Running = {
    ...which,
    startedAt,
    get origin() {
      return originOf();
    },
    settled(listener) {
      if (listeners) listeners.push(listener);
      else listeners = [listener];
    },
    get settle() {
      return listeners && tellAll(listeners);
    },
    get signal() {
      if (!controller) {
        controller = new AbortController();
        if (aborted) controller.abort(aborted);
      }
      return controller.signal;
    },
    timedOut: () => aborted !== undefined,
    orAbandoned: (work) =>
      new Promise((resolve, reject) => {
        work.then(resolve, reject);
        if (abandoned) reject(abandoned);
        else if (leave) leave.push(reject);
        else leave = [reject];
      }),
    end: () => ended(attempt),
    abort(reason) {
      aborted ??= reason;
      controller?.abort(reason);
    },
    abandon(reason) {
      abandoned = reason;
      if (leave) for (const reject of leave) reject(reason);
    },
  };
  return attempt;
};
