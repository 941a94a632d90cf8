import { existsSync, readFileSync } from 'node:fs';

/* The resident memory of a process while something is done to it. */
export interface MemoryUse {
  readonly medianMib: number;
  /** Medians of twentieths of the time, so that one garbage collection more or less is no verdict. */
  readonly lowestMib: number;
  readonly highestMib: number;
}
export interface MemoryWatch {
  stop(): MemoryUse;
}

const everyMs = 250;
const windows = 20;
const mib = 1024 ** 2;
const pageBytes = 4096;

const statmOf = (pid: number) => `/proc/${pid}/statm`;
export const residentMib = (pid: number): number =>
  (Number(readFileSync(statmOf(pid), 'utf8').split(' ')[1]) * pageBytes) / mib;

export const watchMemory = (pid: number): MemoryWatch => {
  const samples: number[] = [];
  const timer = setInterval(() => {
    if (!existsSync(statmOf(pid))) return clearInterval(timer);
    samples.push(residentMib(pid));
  }, everyMs);
  return {
    stop() {
      clearInterval(timer);
      const size = Math.max(1, Math.ceil(samples.length / windows));
      const medians: number[] = [];
      for (let from = 0; from < samples.length; from += size) medians.push(median(samples.slice(from, from + size)));
      return { medianMib: median(samples), lowestMib: Math.min(...medians), highestMib: Math.max(...medians) };
    },
  };
};

/** Within 10 % of its median all the time. */
export const isFlat = ({ medianMib, lowestMib, highestMib }: MemoryUse): boolean =>
  highestMib <= 1.1 * medianMib && lowestMib >= 0.9 * medianMib;

/**
 * Where a process has nothing to do for a while it gives memory back and takes it again, and only what it takes beyond that is growth: at
 * most 10 % above its most before.
 */
export const isNoMore = ({ highestMib }: MemoryUse, before: MemoryUse): boolean =>
  highestMib <= 1.1 * before.highestMib;

export const inWords = ({ medianMib, lowestMib, highestMib }: MemoryUse): string =>
  `${lowestMib.toFixed(1)} to ${highestMib.toFixed(1)} MiB, median ${medianMib.toFixed(1)}`;

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
