import { workerConsumer } from '../../runtime/nats/names.ts';
import type { StreamLag } from '../reconcile/ports.ts';

/* What an Integration has to do, from what NATS tells of its streams and consumers. */

/** Messages. */
export interface Work {
  /** Stored, never delivered. */
  readonly waiting: number;
  /** With a worker. */
  readonly inFlight: number;
  /** Given back until their next attempt. */
  readonly parked: number;
  /** When a request that is answered was last seen to come. */
  readonly calledAt?: number | undefined;
}

/** Of all its consumers together. */
export interface ConsumerFigures {
  /** When they were read; milliseconds of a clock that never goes backwards. */
  readonly at: number;
  readonly ackPending: number;
  /** Deliveries so far, repeated ones too. */
  readonly delivered: number;
}

/** Two earlier readings; the older one is old enough to tell what is in flight. */
export interface DeliveryMarks {
  readonly older?: ConsumerFigures | undefined;
  readonly newer?: ConsumerFigures | undefined;
}

/**
 * NATS counts a message that waits for its next attempt like one that is in work. But a worker answers for a message within two attempts'
 * time (one in its queue, one in work), so no more can be in flight than were delivered since then; and no more than the workers hold.
 */
export const splitPending = (
  figures: ConsumerFigures,
  marks: DeliveryMarks,
  limits: { readonly attemptMs: number; readonly held: number },
): { inFlight: number; parked: number; marks: DeliveryMarks } => {
  const windowMs = 2 * limits.attemptMs;
  const isReset = (marks.newer?.delivered ?? 0) > figures.delivered;
  const known: DeliveryMarks = isReset ? {} : marks;
  const isDue = known.newer === undefined || figures.at - known.newer.at >= windowMs;
  const next = isDue ? { older: known.newer, newer: figures } : known;
  const recent = next.older ? figures.delivered - next.older.delivered : Number.POSITIVE_INFINITY;
  const inFlight = Math.min(figures.ackPending, recent, limits.held);
  return { inFlight, parked: figures.ackPending - inFlight, marks: next };
};

/** Whose work it is, and how much its workers can hold. */
export interface Worker {
  readonly integration: string;
  readonly partitions: number;
  readonly attemptMs: number;
  readonly held: number;
}

/**
 * `missing`: a consumer that should be there is not, so nothing is known. Counting all that is stored as waiting would start as many workers
 * as may be, with nothing to pull from.
 */
export const workOf = (
  worker: Worker,
  inbox: StreamLag,
  shared: readonly StreamLag[],
  marks: DeliveryMarks,
): { readonly work: Work; readonly marks: DeliveryMarks } | 'missing' => {
  const names = Array.from({ length: worker.partitions }, (_, partition) => workerConsumer(partition));
  const stored = consumersOf(inbox, names);
  const heard = shared.map((stream) => consumersOf(stream, [worker.integration]));
  if (stored === 'missing' || heard.includes('missing')) return 'missing';
  const others = heard.flatMap((found) => (found === 'missing' ? [] : found));
  const all = [...stored, ...others];
  const figures: ConsumerFigures = {
    at: Math.min(...[inbox, ...shared].map(({ consumersAt }) => consumersAt ?? 0)),
    ackPending: total(all, 'ackPending'),
    delivered: total(all, 'delivered'),
  };
  const split = splitPending(figures, marks, worker);
  // The inbox is a work queue: what is in it and was not delivered waits. Its count is newer than that of the consumers.
  const waiting = Math.max(0, inbox.messages - total(stored, 'ackPending')) + total(others, 'pending');
  return { work: { waiting, inFlight: split.inFlight, parked: split.parked }, marks: split.marks };
};

/** None before the first look at them. */
const consumersOf = ({ consumers, consumersAt }: StreamLag, names: readonly string[]) => {
  const found = consumers.filter(({ name }) => names.includes(name));
  return consumersAt !== undefined && found.length < names.length ? 'missing' : found;
};
const total = <Key extends string>(items: readonly Readonly<Record<Key, number>>[], key: Key): number =>
  items.reduce((sum, item) => sum + item[key], 0);
