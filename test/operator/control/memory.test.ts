import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { quietMoments } from '../../../operator/control/memory.ts';

const mebibyte = 1024 * 1024;
/** A process whose clock, work and heap the test sets. */
const process = () => {
  const state = { waiting: 0, cpuMs: 0, at: 0, heap: 100 * mebibyte, collections: 0 };
  const look = quietMoments({
    waiting: () => state.waiting,
    cpuMs: () => state.cpuMs,
    now: () => state.at,
    heapBytes: () => state.heap,
    collect: () => {
      state.collections += 1;
      state.cpuMs += 300;
      state.at += 300;
      state.heap = 40 * mebibyte;
    },
  });
  const after = (seconds: number, cores: number, heap: number) => {
    state.at += seconds * 1_000;
    state.cpuMs += seconds * 1_000 * cores;
    state.heap = heap * mebibyte;
    return look();
  };
  return {
    after,
    wait: (keys: number) => {
      state.waiting = keys;
    },
  };
};

test('garbage is collected when work is over, not while it goes on', () => {
  const { after } = process();
  expect(after(2, 0.9, 200)).toBe(false);
  expect(after(2, 0.25, 300)).toBe(false);
  expect(after(2, 0.05, 300)).toBe(true);
});

test('who has work and gets no time for it is not quiet', () => {
  const { after, wait } = process();
  wait(1);
  expect(after(2, 0.05, 300)).toBe(false);
  wait(0);
  expect(after(2, 0.05, 300)).toBe(true);
});

test('again only when the heap has grown by a quarter, and at most each half minute', () => {
  const { after } = process();
  expect(after(2, 0, 300)).toBe(true);
  expect(after(10, 0, 200)).toBe(false);
  expect(after(100, 0, 49)).toBe(false);
  expect(after(2, 0, 51)).toBe(true);
});

test('the time of a collection is no work', () => {
  const { after } = process();
  expect(after(2, 0, 300)).toBe(true);
  expect(after(1, 0.1, 200)).toBe(false);
  expect(after(60, 0.1, 200)).toBe(true);
});

/** Heap of a process, in MiB, some seconds after it had 200 MiB of objects. */
const heapAfterWork = (flags: readonly string[]): number => {
  const module = join(import.meta.dirname, '../../../operator/control/memory.ts');
  const program = `
    import { giveMemoryBack } from ${JSON.stringify(module)};
    import { getHeapStatistics } from 'node:v8';
    let objects = Array.from({ length: 1_000_000 }, (_, index) => ({ index, text: 'a text ' + index }));
    giveMemoryBack(() => 0);
    objects = undefined;
    const heap = () => getHeapStatistics().total_heap_size / ${mebibyte};
    const end = performance.now() + Number(process.argv[1]);
    const timer = setInterval(() => {
      if (heap() > 30 && performance.now() < end) return;
      clearInterval(timer);
      console.log(heap());
    }, 100);`;
  const wait = flags.length > 0 ? 60_000 : 5_000;
  const args = [...flags, '--input-type=module', '--eval', program, String(wait)];
  return Number(execFileSync(globalThis.process.execPath, args, { encoding: 'utf8' }));
};

test('a process that has nothing to do gives back what it needed, and would not without', () => {
  expect(heapAfterWork(['--expose-gc'])).toBeLessThan(30);
  expect(heapAfterWork([])).toBeGreaterThan(60);
});
