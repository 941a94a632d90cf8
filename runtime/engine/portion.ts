import type { Fate } from '../connector.ts';
import type { RunningAttempt } from './attempts.ts';
import { type Listener, tellAll } from './settlement.ts';

/** The attempt as a portion of its message sees it: what is kept of messages that are settled would be kept of a million. */
export interface PortionAttempt extends RunningAttempt {
  /** All of the portion is delivered; nothing of it is under way. */
  passed(fate: Fate): Promise<void>;
}

export const createPortionAttempt = (attempt: RunningAttempt): PortionAttempt => {
  let listeners: Listener[] = [];
  let abandoned: DOMException | undefined;
  const leaving = new Set<(reason: DOMException) => void>();
  attempt.onAbandoned((reason) => {
    abandoned = reason;
    for (const leave of leaving) leave(reason);
  });
  // What is not settled yet is so with the message.
  attempt.settled((fate) => tellAll(listeners)(fate));
  const onAbandoned = (leave: (reason: DOMException) => void) => {
    if (abandoned) leave(abandoned);
    else leaving.add(leave);
  };
  return {
    get number() {
      return attempt.number;
    },
    get replay() {
      return attempt.replay;
    },
    get repeated() {
      return attempt.repeated;
    },
    get origin() {
      return attempt.origin;
    },
    get acceptedAt() {
      return attempt.acceptedAt;
    },
    get signal() {
      return attempt.signal;
    },
    get settle() {
      return attempt.settle;
    },
    timedOut: () => attempt.timedOut(),
    end: () => attempt.end(),
    settled: (listener) => void listeners.push(listener),
    onAbandoned,
    orAbandoned: (work) =>
      new Promise((resolve, reject) => {
        onAbandoned(reject);
        const over = () => leaving.delete(reject);
        work.then(resolve, reject).then(over, over);
      }),
    async passed(fate) {
      const told = listeners;
      listeners = [];
      leaving.clear();
      // Whoever cannot write it down now is told again with the message.
      await tellAll(told)(fate).catch(() => listeners.push(...told));
    },
  };
};
