/* What an Integration has to do, from what NATS tells of its consumers. */

/** Messages. */
export interface Work {
  /** Stored, never delivered. */
  readonly waiting: number;
  /** With a worker. */
  readonly inFlight: number;
  /** Given back until their next attempt. */
  readonly parked: number;
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
