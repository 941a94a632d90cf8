import type { IntegrationStatus } from '../api/integration.ts';

/*
 * Whether a subscriber fell behind the start of the bus. The bus drops what is old whoever has read it, so the answer lies between two
 * numbers: how far the subscriber is, and where the stream begins now.
 */
export type BusStatus = NonNullable<IntegrationStatus['bus']>;
export interface BusObserved {
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** Stream sequence up to which the consumer has been served. It stands still while nothing asks the consumer. */
  readonly delivered: number;
  /** Events that wait for this subscriber. */
  readonly pending: number;
}

/** `seen` is the value of the annotation: the gap up to there is known to a user. */
export const busStatus = (
  { firstSequence, lastSequence, delivered, pending }: BusObserved,
  previous: BusStatus | undefined,
  seen: number,
): BusStatus => {
  // A position behind the end is of a stream that is gone.
  const known = previous && previous.position <= lastSequence ? previous.position : 0;
  const reached = Math.max(delivered, known);
  const missed = Math.max(0, firstSequence - 1 - reached);
  const earlier = previous?.gap && previous.gap.through > seen ? previous.gap : undefined;
  const gap =
    missed > 0 && firstSequence - 1 > seen
      ? { missed: missed + (earlier?.missed ?? 0), through: firstSequence - 1 }
      : earlier;
  // Nothing waits: what lies before the end was for others.
  const position = pending === 0 ? lastSequence : Math.max(reached, firstSequence - 1);
  return { position: roughly(position, known, { firstSequence, lastSequence }), ...(gap ? { gap } : {}) };
};

/** Written when the stream has moved by half of what it holds since: each write wakes every watcher. */
const roughly = (
  position: number,
  known: number,
  { firstSequence, lastSequence }: Pick<BusObserved, 'firstSequence' | 'lastSequence'>,
): number => (known > 0 && known >= firstSequence + (lastSequence - firstSequence) / 2 ? known : position);
