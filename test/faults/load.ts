import { setTimeout as pause } from 'node:timers/promises';

/*
 * Messages at a fixed rate, each sent again with the same id until it is acknowledged: what a sender does that wants it to arrive.
 */
export interface LoadOptions {
  readonly seconds: number;
  /** Messages for each second. */
  readonly rate: number;
  readonly publish: (id: string) => Promise<unknown>;
  /** Ids are it and a number; default `m`. */
  readonly prefix?: string;
}
export interface Load {
  /** Acknowledged to the sender. */
  readonly accepted: ReadonlySet<string>;
  /** Publishes that had to be repeated: the fault was felt. */
  repeated(): number;
  /** All are accepted. */
  readonly finished: Promise<void>;
}

const patienceMs = 120_000;
const stuckAfterMs = 180_000;
const againAfterMs = 250;
/** More than these wait for nobody: a source that is refused pauses. */
const mostWaiting = 500;

/** Whatever fails for a while (elections, restarts, a full stream) is tried again. */
export const insistently = async <T>(what: string, act: () => Promise<T>): Promise<T> => {
  for (const until = Date.now() + patienceMs; ; ) {
    try {
      return await act();
    } catch (cause) {
      if (Date.now() > until) throw new Error(`${what} failed for ${patienceMs / 1000} s`, { cause });
      await pause(againAfterMs);
    }
  }
};

export const startLoad = ({ seconds, rate, publish, prefix = 'm' }: LoadOptions): Load => {
  const accepted = new Set<string>();
  const total = seconds * rate;
  let repeated = 0;
  let waiting = 0;
  const one = async (id: string) => {
    waiting += 1;
    let tries = 0;
    await insistently(`publishing ${id}`, () => {
      tries += 1;
      return publish(id);
    });
    waiting -= 1;
    if (tries > 1) repeated += 1;
    accepted.add(id);
  };
  const send = async () => {
    const started = Date.now();
    const sending: Promise<void>[] = [];
    for (let sent = 0; sent < total; ) {
      const due = Math.min(total, Math.floor(((Date.now() - started) / 1000) * rate));
      const next = Math.min(due, sent + mostWaiting - waiting);
      for (; sent < next; sent += 1) sending.push(one(`${prefix}${sent}`));
      await pause(5);
    }
    await Promise.all(sending);
  };
  return { accepted, repeated: () => repeated, finished: send() };
};

/** Waits until it holds; `false` when it did not within the time. */
export const within = async (limitMs: number, holds: () => boolean | Promise<boolean>): Promise<boolean> => {
  for (const until = Date.now() + limitMs; ; ) {
    if (await holds()) return true;
    if (Date.now() > until) return false;
    await pause(100);
  }
};

/** Waits for a number to become 0, as long as it becomes smaller now and then: a busy machine takes its time. */
export const untilNone = async (count: () => number | Promise<number>): Promise<void> => {
  let before = Number.POSITIVE_INFINITY;
  const fewer = async () => {
    const now = await count();
    if (now > 0 && now >= before) return false;
    before = now;
    return true;
  };
  for (;;) if (!(await within(stuckAfterMs, fewer)) || before === 0) return;
};
