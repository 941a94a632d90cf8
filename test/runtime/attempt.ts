import type { Attempt, Fate } from '../../runtime/connector.ts';
import { type Listener, tellAll } from '../../runtime/engine/settlement.ts';

/** An attempt as the engine makes them; `settle` is what the engine does when it knows what became of the message. */
export const attemptOf = (
  changed: Partial<Attempt> = {},
): Attempt & { readonly settle: (fate: Fate) => Promise<void> } => {
  const listeners: Listener[] = [];
  return {
    number: 1,
    origin: 'inbox_orders/1/in/1',
    acceptedAt: 0,
    repeated: false,
    signal: new AbortController().signal,
    settled: (listener) => void listeners.push(listener),
    settle: (fate) => tellAll(listeners)(fate),
    ...changed,
  };
};
