import type { TenantBroker } from './ports.ts';

/*
 * Requests that are answered are in no stream. The gateway notes in its bucket whom they are for, and the meter sees that the bucket moved;
 * then who it was is read, once for all Integrations of a tenant.
 */
export type CalledSince = TenantBroker['calledSince'];
export interface Called {
  /** The account's bucket is at that sequence. What came before it is not looked at. */
  begin(account: string, sequence: number): void;
  moved(account: string, sequence: number, read: CalledSince): void;
  forget(account: string): void;
}

export const createCalled = (called: (account: string, integration: string) => void): Called => {
  /** Read up to there, and how far the bucket is. */
  const accounts = new Map<string, { seen: number; latest: number; isReading: boolean }>();

  const read = async (account: string, calledSince: CalledSince): Promise<void> => {
    for (let known = accounts.get(account); known && known.seen < known.latest; known = accounts.get(account)) {
      const { latest } = known;
      const integrations = await calledSince(known.seen);
      known.seen = latest;
      for (const integration of integrations) called(account, integration);
    }
  };
  return {
    begin(account, sequence) {
      if (!accounts.has(account)) accounts.set(account, { seen: sequence, latest: sequence, isReading: false });
    },
    moved(account, sequence, calledSince) {
      const known = accounts.get(account);
      if (!known) return;
      known.latest = sequence;
      if (known.isReading) return;
      known.isReading = true;
      read(account, calledSince)
        // Whoever waits for a worker says so again each second.
        .catch(() => undefined)
        .finally(() => void (known.isReading = false));
    },
    forget: (account) => void accounts.delete(account),
  };
};
