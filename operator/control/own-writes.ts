/*
 * What we write comes back by the watch, where nobody need look at it again. It often comes before the answer to the write: what is told of
 * that object then waits for the answer, or each second write would look like somebody else's, and make a reconcile for nothing.
 */
export interface OwnWrites {
  /** A write to that object is sent; to be called when its answer was taken up. */
  begin(object: { readonly name: string; readonly namespace: string | undefined }): () => void;
  /** When the writes were answered that are under way to what a line of the watch is about, or after a moment; nothing without any. */
  answered(line: string): Promise<unknown> | undefined;
  /** The object of that version is kept from an answer. */
  keep(resourceVersion: string): void;
  /** Whether it was, once. */
  takeKept(resourceVersion: string): boolean;
  /** The watch is to tell of that version; resolves when it has, or after a moment. It is known as ours also when it tells later. */
  expect(resourceVersion: string): Promise<void>;
  /** Whether it was expected, once. */
  takeExpected(resourceVersion: string): boolean;
  /** Whether any is kept that the watch has not told of. */
  hasKept(): boolean;
  clear(): void;
}

/** `patienceMs`: a write without an answer must not keep from us what others do. */
export const ownWrites = (patienceMs: number): OwnWrites => {
  /** By what a line about the object has in it; reading all of the line would take longer than to wait for a wrong one now and then. */
  const underWay = new Map<Promise<void>, readonly string[]>();
  const kept = new Set<string>();
  const expected = new Map<string, () => void>();
  const takeExpected = (resourceVersion: string): boolean => {
    expected.get(resourceVersion)?.();
    return expected.delete(resourceVersion);
  };
  return {
    begin: ({ name, namespace }) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      underWay.set(promise, [`"name":"${name}"`, ...(namespace === undefined ? [] : [`"namespace":"${namespace}"`])]);
      return () => {
        underWay.delete(promise);
        resolve();
      };
    },
    answered: (line) => {
      if (underWay.size === 0) return undefined;
      const awaited: Promise<void>[] = [];
      for (const [write, marks] of underWay) if (marks.every((mark) => line.includes(mark))) awaited.push(write);
      return awaited.length > 0 ? within(patienceMs, Promise.all(awaited)) : undefined;
    },
    keep: (resourceVersion) => void kept.add(resourceVersion),
    takeKept: (resourceVersion) => kept.delete(resourceVersion),
    expect: async (resourceVersion) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      expected.set(resourceVersion, resolve);
      await within(patienceMs, promise);
    },
    takeExpected,
    hasKept: () => kept.size > 0,
    clear: () => {
      kept.clear();
      for (const resourceVersion of expected.keys()) takeExpected(resourceVersion);
    },
  };
};

const within = (ms: number, promise: Promise<unknown>): Promise<unknown> => {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, ms);
  return Promise.race([promise, late.promise]).finally(() => clearTimeout(timer));
};
