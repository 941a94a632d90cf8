/*
 * What we write comes back by the watch, where nobody need look at it again. It often comes before the answer to the write: the watch then
 * waits for the answer, or each second write would look like somebody else's, and make a reconcile for nothing.
 */
export interface OwnWrites {
  /** A write is sent; to be called when its answer was taken up. */
  begin(): () => void;
  /** When all that are under way were answered, or after a moment; nothing while there are none. */
  answered(): Promise<unknown> | undefined;
  /** The object of an answer is kept, or will be told by the watch. */
  note(resourceVersion: string, how: 'kept' | 'told'): void;
  /** Whether it was noted so, once. */
  take(resourceVersion: string, how: 'kept' | 'told'): boolean;
  /** Whether any is noted. */
  isExpecting(): boolean;
  clear(): void;
}

/** `patienceMs`: a write without an answer must not keep from us what others do. */
export const ownWrites = (patienceMs: number): OwnWrites => {
  const underWay = new Set<Promise<void>>();
  const noted = new Map<string, 'kept' | 'told'>();
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
    note: (resourceVersion, how) => void noted.set(resourceVersion, how),
    take: (resourceVersion, how) => noted.get(resourceVersion) === how && noted.delete(resourceVersion),
    isExpecting: () => noted.size > 0,
    clear: () => noted.clear(),
  };
};
