import { readFileSync } from 'node:fs';

/* What the benches count with, of this machine and of single processes; Linux only. */
export const median = (values: readonly number[]): number => quantile(values, 0.5);

export const quantile = (values: readonly number[], share: number): number => {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
};

/** Resident memory of a process in MiB. */
export const residentMib = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

const clockTicksPerSecond = 100;
/** User and system time that a process has used, in milliseconds. */
export const cpuMs = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / clockTicksPerSecond;
};

export interface MachineTime {
  readonly busyMs: number;
  readonly allMs: number;
}
/** Of all cores together, since boot. */
export const machineTime = (): MachineTime => {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
  const ticks = line.split(/\s+/).slice(1, 9).map(Number);
  const all = ticks.reduce((sum, each) => sum + each, 0);
  const idle = (ticks[3] ?? 0) + (ticks[4] ?? 0);
  const inMs = 1000 / clockTicksPerSecond;
  return { busyMs: (all - idle) * inMs, allMs: all * inMs };
};

/** Share of the machine, 0 to 1, that others than `ownMs` used between two readings. */
export const foreignShare = (before: MachineTime, after: MachineTime, ownMs: number): number =>
  Math.max(0, (after.busyMs - before.busyMs - ownMs) / Math.max(1, after.allMs - before.allMs));

/** Of the command line. */
export const roundsOf = (text: string | undefined, usual: number): number => {
  const rounds = Number(text ?? usual);
  if (Number.isInteger(rounds) && rounds > 0) return rounds;
  throw new UsageError(`"${text}" is no number of rounds: give a whole number from 1 on`);
};
export class UsageError extends Error {}
