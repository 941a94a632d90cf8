import { getHeapStatistics } from 'node:v8';

/*
 * Putting a thousand Integrations in place takes twice the memory that they need afterwards, and it would be kept: V8 collects garbage when
 * something is allocated, and leaves its pages half empty even then. So in a quiet moment all of it is collected. Nothing else runs for
 * the few tenths of a second that this takes, and compiled code goes, too, which is why a busy operator goes without, and one that is yet to
 * work.
 */
interface Process {
  /** Keys with news for which nobody had time yet: who is starved by others looks quiet. */
  readonly waiting: () => number;
  /** CPU time so far, in ms. */
  readonly cpuMs: () => number;
  readonly now: () => number;
  /** Bytes of all pages of the heap. */
  readonly heapBytes: () => number;
  readonly collect: () => void;
}

const lookEveryMs = 5_000;
/** Of a core, since the look before. */
const quietShare = 0.2;
/** What is alive and a little new garbage is not worth it. */
const growth = 1.25;
const restMs = 30_000;

/** A look, to be repeated; says whether garbage was collected. */
export const quietMoments = ({ waiting, cpuMs, now, heapBytes, collect }: Process): (() => boolean) => {
  let before = { cpuMs: cpuMs(), at: now() };
  let last: { readonly bytes: number; readonly at: number } | undefined;
  return () => {
    const [at, cpu] = [now(), cpuMs()];
    const isQuiet = waiting() === 0 && cpu - before.cpuMs < quietShare * (at - before.at);
    before = { cpuMs: cpu, at };
    if (!isQuiet || (last && (at - last.at < restMs || heapBytes() < growth * last.bytes))) return false;
    collect();
    // What it took is not held against the next look.
    before = { cpuMs: cpuMs(), at: now() };
    last = { bytes: heapBytes(), at: before.at };
    return true;
  };
};

/** Needs the flag `--expose-gc`; without it nothing happens. The result ends it. */
export const giveMemoryBack = (waiting: Process['waiting']): (() => void) => {
  const { gc } = globalThis;
  if (!gc) return () => {};
  const look = quietMoments({
    waiting,
    cpuMs: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1_000;
    },
    now: () => performance.now(),
    heapBytes: () => getHeapStatistics().total_heap_size,
    collect: () => gc({ type: 'major', execution: 'sync', flavor: 'last-resort' }),
  });
  const timer = setInterval(look, lookEveryMs);
  timer.unref();
  return () => clearInterval(timer);
};
