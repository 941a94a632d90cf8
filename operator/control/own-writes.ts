/*
 * What we write comes back by the watch, where nobody need look at it again. It often comes before the answer to the write: the watch then
 * waits for the answer, or each second write would look like somebody else's, and make a reconcile for nothing.
 */
export interface OwnWrites {
  /** A write is sent; to be called when its answer was taken up. */
  begin(): () => void;
  /** When all that are under way were answered, or after a moment; nothing while there are none. */
  answered(): Promise<unknown> | undefined;
  /** The object of that version is kept from an answer. */
  keep(resourceVersion: string): void;
  /** Whether it was, once. */
  takeKept(resourceVersion: string): boolean;
  /** The watch is to tell of that version; resolves when it has, or after a moment. */
  expect(resourceVersion: string): Promise<void>;
  /** Whether it was expected, once. */
  takeExpected(resourceVersion: string): boolean;
  /** Whether any is kept that the watch has not told of. */
  hasKept(): boolean;
  clear(): void;
}

/** `patienceMs`: a write without an answer must not keep from us what others do. */
export const ownWrites = (patienceMs: number): OwnWrites => {
  const underWay = new Set<Promise<void>>();
  const kept = new Set<string>();
  const expected = new Map<string, () => void>();
  const takeExpected = (resourceVersion: string): boolean => {
    expected.get(resourceVersion)?.();
    return expected.delete(resourceVersion);
  };
  return {
    begin: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      underWay.add(promise);
      return () => {
        underWay.delete(promise);
        resolve();
      };
    },
    answered: () => {
      if (underWay.size === 0) return undefined;
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, patienceMs);
      return Promise.race([Promise.all(underWay), late.promise]).finally(() => clearTimeout(timer));
    },
    keep: (resourceVersion) => void kept.add(resourceVersion),
    takeKept: (resourceVersion) => kept.delete(resourceVersion),
    expect: (resourceVersion) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(() => takeExpected(resourceVersion), patienceMs);
      expected.set(resourceVersion, () => {
        clearTimeout(timer);
        resolve();
      });
      return promise;
    },
    takeExpected,
    hasKept: () => kept.size > 0,
    clear: () => {
      kept.clear();
      for (const resourceVersion of expected.keys()) takeExpected(resourceVersion);
    },
  };
};
