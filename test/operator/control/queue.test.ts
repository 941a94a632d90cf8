import * as fc from 'fast-check';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { controlMetrics } from '../../../operator/control/metrics.ts';
import { createQueue, type KeyedQueue, type QueueOptions } from '../../../operator/control/queue.ts';

const queueOf = (options: Partial<QueueOptions> = {}): KeyedQueue =>
  createQueue({ name: 'test', metrics: controlMetrics(new Registry()), ...options });

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

interface Model {
  /** Keys that must be given out (again). */
  readonly due: Set<string>;
  readonly running: Set<string>;
  /** Due once time passes. */
  readonly later: Set<string>;
}
interface Real {
  readonly queue: KeyedQueue;
}
const groupOf = (key: string) => key.slice(0, 1);
const groupWorkers = 2;
type Step = fc.AsyncCommand<Model, Real>;

const add = (key: string): Step => ({
  check: () => true,
  run: async (model, { queue }) => {
    queue.add(key);
    model.due.add(key);
  },
  toString: () => `add ${key}`,
});
const later = (key: string, kind: 'after' | 'retry'): Step => ({
  check: () => true,
  run: async (model, { queue }) => {
    if (kind === 'after') queue.after(key, 1000);
    else queue.retry(key);
    model.later.add(key);
  },
  toString: () => `${kind} ${key}`,
});
const pass = (): Step => ({
  check: () => true,
  run: async (model) => {
    await vi.advanceTimersByTimeAsync(2_000_000);
    for (const key of model.later) model.due.add(key);
    model.later.clear();
  },
  toString: () => 'time passes',
});
/** Takes a key exactly when the model says that there is one. */
const take = (): Step => ({
  check: (model) => {
    const isFree = (key: string) =>
      !model.running.has(key) &&
      [...model.running].filter((other) => groupOf(other) === groupOf(key)).length < groupWorkers;
    return [...model.due].some(isFree);
  },
  run: async (model, { queue }) => {
    const got = await Promise.race([queue.next(), Promise.resolve().then(() => 'nothing' as const)]);
    expect(got).not.toBe('nothing');
    const key = String(got);
    expect(model.running.has(key), `${key} is in work twice`).toBe(false);
    expect(model.due.delete(key), `${key} was not due`).toBe(true);
    model.running.add(key);
    expect([...model.running].filter((other) => groupOf(other) === groupOf(key)).length).toBeLessThanOrEqual(
      groupWorkers,
    );
  },
  toString: () => 'take',
});
const finish = (index: number): Step => ({
  check: (model) => model.running.size > 0,
  run: async (model, { queue }) => {
    const key = [...model.running][index % model.running.size] as string;
    queue.done(key);
    model.running.delete(key);
  },
  toString: () => `finish ${index}`,
});

const checkModel = (make: () => KeyedQueue) => {
  const key = fc.constantFrom('a1', 'a2', 'a3', 'b1', 'b2', 'c1');
  const commands = fc.commands(
    [
      key.map(add),
      key.map((k) => later(k, 'after')),
      key.map((k) => later(k, 'retry')),
      fc.constant(pass()),
      fc.constant(take()),
      fc.nat(5).map(finish),
    ],
    { maxCommands: 60, size: 'max' },
  );
  const property = fc.asyncProperty(commands, async (steps) => {
    const model: Model = { due: new Set(), running: new Set(), later: new Set() };
    const queue = make();
    await fc.asyncModelRun(() => ({ model, real: { queue } }), steps);
    for (const running of model.running) queue.done(running);
    await vi.advanceTimersByTimeAsync(2_000_000);
    const left = new Set([...model.due, ...model.later]);
    expect(queue.depth()).toBe(left.size);
    while (left.size > 0) {
      const got = String(await queue.next());
      expect(left.delete(got), `${got} was not due`).toBe(true);
      queue.done(got);
    }
    await queue.close();
  });
  return fc.assert(property, { numRuns: 300 });
};

test('model: no key is lost, none is in work twice, one that waits is there once, no group exceeds its share', () =>
  checkModel(() => queueOf({ groupOf, groupWorkers })));

describe('the model bites', () => {
  test.each<[fault: string, spoil: (queue: KeyedQueue) => KeyedQueue]>([
    [
      'a key added while in work is forgotten',
      (queue) => {
        const running = new Set<string>();
        return {
          ...queue,
          add: (key) => void (running.has(key) || queue.add(key)),
          next: async () => {
            const key = await queue.next();
            if (key) running.add(key);
            return key;
          },
          done: (key) => {
            running.delete(key);
            queue.done(key);
          },
        };
      },
    ],
    ['a retry is lost', (queue) => ({ ...queue, retry: () => 0 })],
    ['groups have no share', () => queueOf()],
    [
      'a key is given to two workers',
      (queue) => ({
        ...queue,
        next: async () => {
          const key = await queue.next();
          if (key) queue.done(key);
          return key;
        },
        done: () => {},
      }),
    ],
  ])('%s', async (_fault, spoil) => {
    await expect(checkModel(() => spoil(queueOf({ groupOf, groupWorkers })))).rejects.toThrow('Property failed');
  });
});

describe('fairness', () => {
  const drain = async (queue: KeyedQueue, count: number) => {
    const order: string[] = [];
    for (let i = 0; i < count; i++) {
      const key = String(await queue.next());
      order.push(key);
      queue.done(key);
    }
    return order;
  };
  const storm = (queue: KeyedQueue) => {
    for (let i = 0; i < 1000; i++) queue.add(`storm/${i}`);
    queue.add('calm/1');
    queue.add('quiet/1');
  };
  const tenant = (key: string) => key.split('/', 1)[0] ?? '';

  test('a tenant with 1000 keys delays the others by one turn', async () => {
    const queue = queueOf({ groupOf: tenant });
    storm(queue);
    const order = await drain(queue, 20);
    expect([order.indexOf('calm/1'), order.indexOf('quiet/1')]).toEqual([16, 17]);
  });
  test('tenants with 1000 keys each do not delay one that comes anew', async () => {
    const queue = queueOf({ groupOf: tenant });
    for (let i = 0; i < 1000; i++) for (const name of ['one', 'two', 'three']) queue.add(`${name}/${i}`);
    // Each of them has had a turn.
    await drain(queue, 50);
    queue.add('calm/1');
    expect(await drain(queue, 1)).toEqual(['calm/1']);
  });
  test('one that always comes with a single key has turns as the others', async () => {
    const queue = queueOf({ groupOf: tenant });
    for (let i = 0; i < 1000; i++) queue.add(`storm/${i}`);
    const order: string[] = [];
    for (let i = 0; i < 180; i++) {
      queue.add('greedy/1');
      order.push(...(await drain(queue, 1)));
    }
    expect(order.filter((key) => key === 'greedy/1').length).toBeLessThan(180 / 16 + 2);
  });
  test('control: without groups they wait for all 1000', async () => {
    const queue = queueOf();
    storm(queue);
    const order = await drain(queue, 1002);
    expect(order.indexOf('calm/1')).toBe(1000);
  });
  test('failures of one tenant do not slow down the retries of another', () => {
    const queue = queueOf({ groupOf: tenant });
    const delays = Array.from({ length: 500 }, (_, i) => queue.retry(`storm/${i}`));
    expect(delays.at(-1)).toBeGreaterThan(30_000);
    expect(queue.retry('calm/1')).toBe(5);
  });
});

test('back-off is 5 ms, doubled, at most 1000 s, and a success starts anew', () => {
  const queue = queueOf({ retryRate: { perSecond: 1e9, burst: 1e9 } });
  const delays = Array.from({ length: 20 }, () => queue.retry('a'));
  expect(delays.slice(0, 4)).toEqual([5, 10, 20, 40]);
  expect(delays.at(-1)).toBe(1_000_000);
  queue.forget('a');
  expect(queue.retry('a')).toBe(5);
});

test('of several delays the earliest wins', async () => {
  const queue = queueOf();
  queue.after('a', 5000);
  queue.after('a', 100);
  queue.after('a', 9000);
  await vi.advanceTimersByTimeAsync(99);
  expect(queue.depth()).toBe(0);
  await vi.advanceTimersByTimeAsync(1);
  expect(queue.depth()).toBe(1);
  expect(await queue.next()).toBe('a');
  await vi.advanceTimersByTimeAsync(10_000);
  queue.done('a');
  expect(queue.depth()).toBe(0);
});

describe('what is only looked at again', () => {
  const order = async (queue: KeyedQueue) => {
    const taken: string[] = [];
    while (queue.depth() > 0) {
      const key = String(await queue.next());
      taken.push(key);
      queue.done(key);
    }
    return taken;
  };
  test('waits for what has news, also for what comes later', async () => {
    const queue = queueOf();
    queue.after('look', 100);
    await vi.advanceTimersByTimeAsync(100);
    queue.add('news');
    expect(await order(queue)).toEqual(['news', 'look']);
  });
  test('is news itself when something happens to it, also while its time has not come', async () => {
    const queue = queueOf({ restMs: 500 });
    queue.add('resting');
    queue.done(String(await queue.next()));
    for (const key of ['first', 'second', 'resting']) queue.after(key, 100);
    queue.add('resting');
    await vi.advanceTimersByTimeAsync(600);
    queue.add('second');
    expect(await order(queue)).toEqual(['resting', 'second', 'first']);
  });
  test('has one turn of twenty while there is always news', async () => {
    const queue = queueOf();
    for (const key of ['one', 'two']) queue.after(key, 1);
    await vi.advanceTimersByTimeAsync(1);
    const taken: string[] = [];
    for (let turn = 0; turn < 60; turn += 1) {
      queue.add('news');
      const key = String(await queue.next());
      taken.push(key);
      queue.done(key);
    }
    expect([taken.indexOf('one'), taken.indexOf('two')]).toEqual([19, 39]);
    expect(taken.filter((key) => key === 'news')).toHaveLength(58);
  });
  test('waits while many keys are in work, too', async () => {
    const queue = queueOf({ lookWorkers: 2 });
    for (const key of ['a', 'b']) queue.add(key);
    const taken = [await queue.next(), await queue.next()];
    queue.after('look', 0);
    const next = queue.next();
    expect(await Promise.race([next, Promise.resolve('waits')])).toBe('waits');
    queue.done('a');
    expect([...taken, await next]).toEqual(['a', 'b', 'look']);
  });
  test('comes one by one while there is no news, and its turn among news does not wait', async () => {
    const queue = queueOf({ lookPaceMs: 10 });
    for (const key of ['one', 'two', 'three']) queue.after(key, 0);
    const taken: string[] = [];
    const take = async () => {
      for (;;) {
        const key = String(await queue.next());
        taken.push(key);
        queue.done(key);
      }
    };
    void take();
    await vi.advanceTimersByTimeAsync(9);
    expect(taken).toEqual(['one']);
    expect([queue.depth(), queue.news()]).toEqual([2, 0]);
    await vi.advanceTimersByTimeAsync(1);
    expect(taken).toEqual(['one', 'two']);
    for (let turn = 0; turn < 20; turn += 1) queue.add(`news ${turn}`);
    await vi.advanceTimersByTimeAsync(0);
    expect(taken.indexOf('three')).toBe(2 + 19);
    expect(taken).toHaveLength(2 + 21);
  });
  test('waits for nobody when another tenant has its share of the workers', async () => {
    const queue = queueOf({ groupOf, groupWorkers: 1 });
    queue.after('b1', 1);
    await vi.advanceTimersByTimeAsync(1);
    for (const key of ['a1', 'a2']) queue.add(key);
    expect([await queue.next(), await queue.next()]).toEqual(['a1', 'b1']);
  });
});

test('close gives nothing out, ends who waits, and waits for who works', async () => {
  const queue = queueOf();
  queue.add('a');
  queue.add('b');
  expect(await queue.next()).toBe('a');
  queue.add('a');
  const closing = queue.close();
  expect(await queue.next()).toBeUndefined();
  queue.add('c');
  expect(queue.depth()).toBe(0);
  const early = await Promise.race([closing.then(() => 'closed'), Promise.resolve('waits')]);
  expect(early).toBe('waits');
  queue.done('a');
  await closing;
});

test('a key rests before its next turn, and what comes meanwhile is one turn; without a rest it is there at once', async () => {
  for (const [restMs, depth] of [
    [1000, 0],
    [0, 1],
  ] as const) {
    const queue = queueOf({ restMs });
    queue.add('a');
    expect(await queue.next()).toBe('a');
    queue.add('a');
    queue.done('a');
    queue.add('a');
    expect(queue.depth()).toBe(depth);
    await vi.advanceTimersByTimeAsync(1000);
    expect(queue.depth()).toBe(1);
    expect(await queue.next()).toBe('a');
  }
});
