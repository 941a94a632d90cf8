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

interface Write {
  /** What a line about the object has in it; reading all of the line would take longer than to wait for a wrong one now and then. */
  readonly marks: readonly string[];
  /** Somebody waits for its answer. */
  awaited?: { readonly answer: Promise<void>; readonly end: () => void };
}

/** `patienceMs`: a write without an answer must not keep from us what others do. */
export const ownWrites = (patienceMs: number): OwnWrites => {
  const underWay = new Set<Write>();
  const kept = new Set<string>();
  const expected = new Map<string, () => void>();
  const takeExpected = (resourceVersion: string): boolean => {
    expected.get(resourceVersion)?.();
    return expected.delete(resourceVersion);
  };
  const answerTo = (write: Write): Promise<void> => {
    write.awaited ??= withinPatience(patienceMs);
    return write.awaited.answer;
  };
  return {
    begin: ({ name, namespace }) => {
      const marks = [`"name":"${name}"`, ...(namespace === undefined ? [] : [`"namespace":"${namespace}"`])];
      const write: Write = { marks };
      underWay.add(write);
      return () => {
        underWay.delete(write);
        write.awaited?.end();
      };
    },
    answered: (line) => {
      let awaited: Promise<unknown> | undefined;
      for (const write of underWay) {
        if (!write.marks.every((mark) => line.includes(mark))) continue;
        awaited = awaited ? Promise.all([awaited, answerTo(write)]) : answerTo(write);
      }
      return awaited;
    },
    keep: (resourceVersion) => void kept.add(resourceVersion),
    takeKept: (resourceVersion) => kept.delete(resourceVersion),
    expect: (resourceVersion) => {
      const { answer, end } = withinPatience(patienceMs);
      expected.set(resourceVersion, end);
      return answer;
    },
    takeExpected,
    hasKept: () => kept.size > 0,
    clear: () => {
      kept.clear();
      for (const resourceVersion of expected.keys()) takeExpected(resourceVersion);
    },
  };
};

/** Resolves when it is ended, or after that time. */
const withinPatience = (ms: number): { readonly answer: Promise<void>; readonly end: () => void } => {
  const { promise: answer, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const end = () => {
    clearTimeout(timer);
    resolve();
  };
  return { answer, end };
};
