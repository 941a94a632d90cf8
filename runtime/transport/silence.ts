import type { ConsumerFill } from './transport.ts';

/*
 * Heartbeats tell that a pull is known to the broker, not that it is served. When none of what waits comes although there is room for it,
 * something is broken that a new pull may mend. Two looks in a row, because one may fall into the moment before a delivery.
 */
export interface Silence {
  /** A message came. */
  message(): void;
  /** Now and then, while a pull is open. */
  tick(): void;
  /** From when it was found until a message comes or none waits any more. */
  isFound(): boolean;
}
export interface SilenceOptions {
  readonly fill: () => Promise<ConsumerFill>;
  readonly silent: (waiting: number) => void;
  readonly now: () => number;
}

export const quietMs = 10_000;
const secondLookMs = 2_500;
const longestQuietMs = 60_000;

export const createSilence = ({ fill, silent, now }: SilenceOptions): Silence => {
  let heard = 0;
  let lookAt = now() + quietMs;
  let looking = false;
  let found = 0;
  let heardBefore = 0;
  /** `heard` at the first of two looks that found messages waiting. */
  let first: number | undefined;

  const look = async () => {
    const before = heard;
    const { pending, ackPending, maxAckPending } = await fill();
    const isHeld = maxAckPending > 0 && ackPending >= maxAckPending;
    const isWaiting = pending > 0 && !isHeld && heard === before;
    if (isWaiting && first === before) {
      first = undefined;
      found += 1;
      // A new pull may not mend it either: nobody is served by making one all the time.
      lookAt = now() + Math.min(longestQuietMs, quietMs * 2 ** Math.min(found, 8));
      silent(pending);
    } else if (isWaiting) {
      first = before;
      lookAt = now() + secondLookMs;
    } else {
      first = undefined;
      found = 0;
      lookAt = now() + quietMs;
    }
  };

  return {
    isFound: () => found > 0,
    message() {
      heard += 1;
      found = 0;
    },
    tick() {
      // Whoever is served asks nothing.
      if (heard !== heardBefore) lookAt = now() + quietMs;
      heardBefore = heard;
      if (looking || now() < lookAt) return;
      looking = true;
      look()
        // Whether the consumer can be reached at all is not asked here.
        .catch(() => void (lookAt = now() + quietMs))
        .finally(() => void (looking = false));
    },
  };
};
