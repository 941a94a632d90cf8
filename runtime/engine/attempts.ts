import type { Attempt, Fate } from '../connector.ts';
import type { Delivery } from '../transport/transport.ts';
import { type Bag, createBag, type Placed } from './bag.ts';
import { originOf } from './record.ts';
import { type Listener, tellAll } from './settlement.ts';

/*
 * Deadlines of all running attempts, checked by the engine's one timer. A part that does not obey its signal is left behind a little
 * later, so that it cannot hold a message for ever. Signals are made when a part asks for one: most attempts end without.
 */
export interface RunningAttempt extends Attempt {
  timedOut(): boolean;
  /** Settles as the work does, or rejects when the attempt is left behind. */
  orAbandoned<T>(work: Promise<T>): Promise<T>;
  /** Called when the attempt is left behind, at once if it was already. */
  onAbandoned(leave: (reason: DOMException) => void): void;
  /** Tells the steps that asked for it; nothing when none did. */
  readonly settle: ((fate: Fate) => Promise<void>) | undefined;
  end(): void;
}
export interface BegunAttempt extends RunningAttempt {
  readonly startedAt: number;
  /** From now on it has `delivery.timeout` again: a portion of the message is settled. */
  renew(now: number): void;
}
interface More {
  readonly replay?: number | undefined;
  readonly repeated?: boolean;
}
export interface Attempts {
  begin(number: number, delivery: Delivery, more?: More): BegunAttempt;
  tick(now: number): void;
  /** The grace period is over: ends all of them. */
  abortAll(): void;
  readonly stopping: () => boolean;
}

const leaveBehindAfterMs = 5_000;
/** Of most attempts: made once. */
const first: More = {};

export const createAttempts = (timeoutMs: number, now: () => number): Attempts => {
  const running = createBag<TimedAttempt>();
  let stopping = false;
  const timeout = () => new DOMException('delivery.timeout has passed', 'TimeoutError');
  return {
    begin(number, delivery, more = first) {
      const attempt = new TimedAttempt(running, now(), delivery, number, more);
      running.add(attempt);
      return attempt;
    },
    tick(time) {
      for (const attempt of running.items) {
        const age = time - attempt.startedAt;
        if (age < timeoutMs) continue;
        if (!attempt.timedOut()) attempt.abort(timeout());
        else if (age > timeoutMs + leaveBehindAfterMs) {
          attempt.abandon(timeout());
          // Whoever takes its place is looked at the next time.
          running.remove(attempt);
        }
      }
    },
    stopping: () => stopping,
    abortAll() {
      stopping = true;
      for (const attempt of running.items) {
        attempt.abort(new DOMException('the worker shuts down', 'AbortError'));
        attempt.abandon(new DOMException('the worker shuts down', 'AbortError'));
      }
    },
  };
};

/** A class, because one is made for every message. */
class TimedAttempt implements BegunAttempt, Placed {
  place = -1;
  readonly number: number;
  readonly replay: number | undefined;
  readonly repeated: boolean;
  startedAt: number;
  readonly #running: Bag<TimedAttempt>;
  readonly #delivery: Delivery;
  #controller: AbortController | undefined;
  #aborted: DOMException | undefined;
  #abandoned: DOMException | undefined;
  #leave: ((reason: DOMException) => void)[] | undefined;
  #listeners: Listener[] | undefined;

  constructor(
    running: Bag<TimedAttempt>,
    startedAt: number,
    delivery: Delivery,
    number: number,
    { replay, repeated = false }: More,
  ) {
    this.#running = running;
    this.startedAt = startedAt;
    this.#delivery = delivery;
    this.number = number;
    this.replay = replay;
    this.repeated = repeated;
  }

  get origin(): string {
    return originOf(this.#delivery);
  }

  get acceptedAt(): number {
    return this.#delivery.storedMs();
  }

  settled(listener: Listener): void {
    if (this.#listeners) this.#listeners.push(listener);
    else this.#listeners = [listener];
  }

  get settle(): RunningAttempt['settle'] {
    return this.#listeners && tellAll(this.#listeners);
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#aborted) this.#controller.abort(this.#aborted);
    }
    return this.#controller.signal;
  }

  timedOut(): boolean {
    return this.#aborted !== undefined;
  }

  orAbandoned<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      work.then(resolve, reject);
      this.onAbandoned(reject);
    });
  }

  onAbandoned(leave: (reason: DOMException) => void): void {
    if (this.#abandoned) leave(this.#abandoned);
    else if (this.#leave) this.#leave.push(leave);
    else this.#leave = [leave];
  }

  renew(now: number): void {
    this.startedAt = now;
  }

  end(): void {
    this.#running.remove(this);
  }

  abort(reason: DOMException): void {
    this.#aborted ??= reason;
    this.#controller?.abort(reason);
  }

  abandon(reason: DOMException): void {
    this.#abandoned = reason;
    for (const leave of this.#leave ?? []) leave(reason);
  }
}
