import type { Notices } from '../transport/transport.ts';

/*
 * The workers of one Integration that are awake, as far as this one has heard lately. Each comes to its part of the partitions by itself, from
 * the same list: nobody decides, and nothing is stored. Who hears of nobody, or of somebody who is gone, is wrong for a few seconds only,
 * and never about order: a partition is read by whom the broker says.
 */
export interface Peers {
  /** How many of so many partitions this worker is to read. */
  share(partitions: number): number;
  /** Now and then: tells the others that it is here. */
  tick(): void;
  /** From now on the others do without it. */
  leave(): void;
}
export interface PeerOptions {
  readonly notices: Notices;
  readonly subject: string;
  /** Of this worker, among all. */
  readonly id: string;
  /** Who cannot pull takes no part. */
  readonly healthy: () => boolean;
  readonly now: () => number;
}

const everyMs = 2_000;
/** A worker that hears nothing for so long may only be busy; a dead owner's turn ends after 15 s. */
const forgottenAfterMs = 10_000;

export const createPeers = ({ notices, subject, id, healthy, now }: PeerOptions): Peers => {
  const seen = new Map<string, number>();
  let toldAt = Number.NEGATIVE_INFINITY;
  const tell = (word: 'here' | 'gone') => {
    toldAt = now();
    notices.tell(subject, `${word} ${id}`);
  };
  const listening = notices.hear(subject, (text) => {
    const [word, other = ''] = text.split(' ');
    if (other === id) return;
    const isNew = !seen.has(other);
    if (word === 'here') seen.set(other, now());
    else seen.delete(other);
    // It has begun with everything, for want of others.
    if (word === 'here' && isNew && healthy()) tell('here');
  });
  return {
    share(partitions) {
      for (const [other, at] of seen) if (now() - at > forgottenAfterMs) seen.delete(other);
      const place = [...seen.keys()].filter((other) => other < id).length;
      const workers = seen.size + 1;
      return Math.floor(partitions / workers) + (place < partitions % workers ? 1 : 0);
    },
    tick() {
      if (now() - toldAt >= everyMs && healthy()) tell('here');
    },
    leave() {
      listening.stop();
      tell('gone');
    },
  };
};
