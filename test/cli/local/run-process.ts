import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { stripVTControlCharacters } from 'node:util';
import { expect, onTestFinished } from 'vitest';

/* `kanava` as a process that goes on until Ctrl-C, as in a clone: never from a bundle. It is killed with the test. */
const launcher = join(import.meta.dirname, '..', '..', '..', 'cli', 'launch.js');
const deadline = { timeout: 120_000, interval: 5 };

export const startKanava = (args: readonly string[]) => {
  const child = spawn(execPath, [launcher, ...args]);
  const ended = once(child, 'exit');
  let [data, notes] = ['', ''];
  child.stdout.on('data', (part: Buffer) => (data += part.toString()));
  child.stderr.on('data', (part: Buffer) => (notes += stripVTControlCharacters(part.toString())));
  onTestFinished(() => void child.kill('SIGKILL'));
  return {
    data: () => data,
    notes: () => notes,
    /** So far, of all threads. */
    cpuMs: () => cpuMsOf(child.pid ?? 0),
    /** How long it took until it was said, in milliseconds. */
    async says(what: RegExp) {
      const began = performance.now();
      await expect.poll(() => notes, deadline).toMatch(what);
      return Math.round(performance.now() - began);
    },
    prints: (what: RegExp) => expect.poll(() => data, deadline).toMatch(what),
    /** By Ctrl-C; resolves with exit code and signal. */
    async end() {
      child.kill('SIGINT');
      return await ended;
    },
  };
};

/** User and system time of a process, by proc(5): fields 14 and 15, in hundredths of a second. */
const cpuMsOf = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return 10 * (Number(fields[11]) + Number(fields[12]));
};
