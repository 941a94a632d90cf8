import type { Clock } from '../../runtime/transport/memory.ts';

/** A clock that stands still until somebody turns it to the next thing that is due. */
export interface FakeClock extends Clock {
  /** False when nothing is due any more. */
  next(): boolean;
  pass(ms: number): void;
}

export const createFakeClock = (startMs: number): FakeClock => {
  const timers = new Set<{ readonly at: number; readonly run: () => void }>();
  let time = startMs;
  return {
    now: () => time,
    after(ms, run) {
      const timer = { at: time + ms, run };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    next() {
      let first: { readonly at: number; readonly run: () => void } | undefined;
      for (const timer of timers) if (!first || timer.at < first.at) first = timer;
      if (!first) return false;
      timers.delete(first);
      time = Math.max(time, first.at);
      first.run();
      return true;
    },
    pass: (ms) => void (time += ms),
  };
};
