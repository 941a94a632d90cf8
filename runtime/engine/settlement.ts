import type { Fate } from '../connector.ts';

/* Who wants to know what becomes of a message. Most messages have nobody who asks, and pay nothing. */
export type Listener = (fate: Fate) => Promise<void>;

/** The first rejection is passed on, after all were told. */
export const tellAll =
  (listeners: readonly Listener[]) =>
  async (fate: Fate): Promise<void> => {
    const results = await Promise.allSettled(listeners.map((tell) => tell(fate)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  };
