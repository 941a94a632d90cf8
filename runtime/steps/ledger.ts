import type { StepMemory } from '../connector.ts';
import { postpone } from '../errors.ts';

/*
 * Values that many messages of many workers change. A change is a function of the value as it is: within a worker those that come while a
 * write is on its way are applied together, in one write; between workers compare-and-set decides, and who lost applies its changes to
 * what is there then. What was written last is known here, so that most changes need no reading.
 */
export interface Ledger<V> {
  /** Resolves when the change is stored. `change` may be called several times and must not change the value in place. */
  change<T>(key: string, change: Change<V, T>): Promise<T>;
}
export type Change<V, T> = (value: V | undefined) => { readonly result: T; readonly next?: Kept<V> | undefined };
export interface Kept<V> {
  readonly value: V;
  /** Absent: for ever. */
  readonly forMs?: number;
}

interface Known<V> {
  readonly value: V | undefined;
  readonly revision: number;
}
interface Waiting<V> {
  apply(value: V | undefined): Kept<V> | undefined;
  settle(): void;
  fail(error: unknown): void;
}
interface Cell<V> {
  known: Known<V> | undefined;
  waiting: Waiting<V>[];
  working: boolean;
}

const mostConflicts = 50;
/** What is known is worth a reading, not the memory of a worker. */
const mostKnown = 256;
const heaviestKnown = 32 * 1024;

export const createLedger = <V>(memory: StepMemory, weigh: (value: V) => number): Ledger<V> => {
  const cells = new Map<string, Cell<V>>();

  const read = async (key: string): Promise<Known<V>> => {
    const found = await memory.read(key);
    return { value: found?.value as V | undefined, revision: found?.revision ?? 0 };
  };
  const commit = async (key: string, cell: Cell<V>, batch: readonly Waiting<V>[]): Promise<void> => {
    let isFresh = false;
    for (let conflicts = 0; conflicts < mostConflicts; ) {
      if (!cell.known) {
        cell.known = await read(key);
        isFresh = true;
      }
      const { revision } = cell.known;
      let kept: Kept<V> | undefined;
      for (const each of batch) kept = each.apply(kept ? kept.value : cell.known.value) ?? kept;
      if (!kept && isFresh) return;
      // That nothing is to be done must not be said of what somebody else has changed meanwhile.
      const written = kept && (await memory.write(key, kept.value, { revision, forMs: kept.forMs }));
      if (kept && written !== undefined) {
        cell.known = { value: kept.value, revision: written };
        return;
      }
      if (kept) conflicts += 1;
      cell.known = undefined;
    }
    throw postpone('StateContended', 'many workers change the same at once');
  };
  const work = async (key: string, cell: Cell<V>): Promise<void> => {
    cell.working = true;
    while (cell.waiting.length > 0) {
      const batch = cell.waiting;
      cell.waiting = [];
      try {
        await commit(key, cell, batch);
        for (const each of batch) each.settle();
      } catch (error) {
        cell.known = undefined;
        for (const each of batch) each.fail(error);
      }
    }
    cell.working = false;
    forget(key, cell);
  };
  /** Those that rest, the longest first. */
  const forget = (key: string, cell: Cell<V>) => {
    cells.delete(key);
    const { known } = cell;
    if (known && (known.value === undefined || weigh(known.value) <= heaviestKnown)) cells.set(key, cell);
    for (const [other, { working }] of cells) {
      if (cells.size <= mostKnown) return;
      if (!working) cells.delete(other);
    }
  };

  return {
    change<T>(key: string, change: Change<V, T>): Promise<T> {
      const cell = cells.get(key) ?? { known: undefined, waiting: [], working: false };
      cells.set(key, cell);
      const { promise, resolve, reject } = Promise.withResolvers<T>();
      let outcome: () => void = () => undefined;
      cell.waiting.push({
        apply(value) {
          try {
            const { result, next } = change(value);
            outcome = () => resolve(result);
            return next;
          } catch (error) {
            outcome = () => reject(error);
            return undefined;
          }
        },
        settle: () => outcome(),
        fail: reject,
      });
      if (!cell.working) void work(key, cell);
      return promise;
    },
  };
};
