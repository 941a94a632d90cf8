import { reject } from '../errors.ts';

/*
 * Loops of expressions run over lists of the message, on the thread that all messages share. They look at the clock every few rounds, and
 * end when they have taken too much CPU time: what others take of the machine is not counted. Whoever has no loop pays nothing.
 */
export interface LoopClock {
  /** An expression begins; what was between it and the one before is not counted. */
  begin(): void;
  /** To be called in each round. Throws `reject('TooSlow')`, again and again: an expression may not swallow it and go on. */
  round(): void;
}

/** Looking costs a third of a small round; the longest round there is (a search in a body of a megabyte) takes some 20 ms. */
const roundsBetween = 4;
const lookEveryMs = 5;
/** CPU time of all loops of a step, for one message. */
const longestMs = 100;

export const createLoopClock = (): LoopClock => {
  let rounds = 0;
  let spentMs = 0;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let before: NodeJS.CpuUsage | undefined;
  const look = () => {
    const now = performance.now();
    if (now - lookedAt >= lookEveryMs) {
      // Most loops end before the first look: only the others ask the kernel.
      spentMs += before ? usedSince(before) : lookEveryMs;
      before = process.threadCpuUsage();
      lookedAt = now;
    }
    if (spentMs <= longestMs) return;
    // The next round looks again.
    rounds -= 1;
    throw reject('TooSlow', `loops of the expressions take more than ${longestMs} ms; split the work into steps`);
  };
  return {
    begin() {
      const now = performance.now();
      if (lookedAt > 0) spentMs += Math.min(now - lookedAt, lookEveryMs);
      lookedAt = now;
      before = undefined;
    },
    round() {
      rounds += 1;
      if (rounds % roundsBetween === 0) look();
    },
  };
};

const usedSince = (before: NodeJS.CpuUsage): number => {
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1_000;
};
