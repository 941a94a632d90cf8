import type { Seen } from './jetstream-figures.ts';

/*
 * Whose consumers need not be asked for again. Where none of an account's consumers has anything to deliver or to be acknowledged, none of
 * their figures can change before one of its streams does: by a message that comes or goes, or a consumer, whose number is told with it.
 */
export interface Settled {
  /** What a server says of this account's streams is not what it said before. */
  moved(account: string, at: number): void;
  /** The consumers of these accounts were read. */
  read(seen: Seen, at: number): void;
  is(account: string): boolean;
  forget(account: string): void;
}

/** A server counts for its consumers a moment after a message is stored. */
const countedWithinMs = 5_000;

export const settledAccounts = (): Settled => {
  const movedAt = new Map<string, number>();
  const readAt = new Map<string, { readonly at: number; readonly isBusy: boolean }>();
  return {
    moved: (account, at) => void movedAt.set(account, at),
    read: (seen, at) => {
      for (const [account, streams] of seen) {
        const isBusy = streams
          .values()
          .some(({ consumers }) => consumers.some(({ pending, ackPending }) => pending > 0 || ackPending > 0));
        readAt.set(account, { at, isBusy });
      }
    },
    is: (account) => {
      const read = readAt.get(account);
      const moved = movedAt.get(account);
      return read !== undefined && moved !== undefined && !read.isBusy && read.at > moved + countedWithinMs;
    },
    forget: (account) => {
      movedAt.delete(account);
      readAt.delete(account);
    },
  };
};
