import { setImmediate } from 'node:timers/promises';

const longestMs = 50;

/**
 * For work on one message that is made of many parts: whoever awaits `next()` between two of them lets the other messages have their turn
 * now and then.
 */
export const createTurn = () => {
  let since = performance.now();
  return {
    async next(): Promise<void> {
      await setImmediate();
      since = performance.now();
    },
    isOver: (): boolean => performance.now() - since > longestMs,
  };
};
