/*
 * The gateway's bucket of an account moves when the operator writes routes, and when the gateway says what it has taken up. Only the latter
 * is news to those who wait for it.
 */
export interface OwnRoutes {
  /** Routes were written, or stood already, at that sequence of the account's bucket. */
  wrote(account: string, sequence: number): void;
  /** Whether all that has come into the bucket since the last question, up to that sequence, was written here. */
  isAllOwn(account: string, last: number): boolean;
  forget(account: string): void;
}

interface Bucket {
  /** Up to here all was asked about. */
  asked: number | undefined;
  readonly own: Set<number>;
}

export const createOwnRoutes = (): OwnRoutes => {
  const buckets = new Map<string, Bucket>();
  const bucketOf = (account: string): Bucket => {
    const found = buckets.get(account) ?? { asked: undefined, own: new Set<number>() };
    buckets.set(account, found);
    return found;
  };
  return {
    wrote: (account, sequence) => {
      const { asked = 0, own } = bucketOf(account);
      if (sequence > asked) own.add(sequence);
    },
    isAllOwn: (account, last) => {
      const bucket = bucketOf(account);
      const { asked, own } = bucket;
      // A bucket that was made anew counts from the beginning: what was written into the old one says nothing of it.
      if (asked !== undefined && last < asked) own.clear();
      const ours = [...own].filter((sequence) => sequence <= last);
      for (const sequence of ours) own.delete(sequence);
      bucket.asked = last;
      return asked !== undefined && last >= asked && ours.length === last - asked;
    },
    forget: (account) => void buckets.delete(account),
  };
};
