import type { Delivery } from '../transport/transport.ts';
import type { Placed } from './bag.ts';
import type { Partition } from './partition.ts';
import type { MessageRecord, Stored } from './record.ts';

/** One delivery on its way through this worker, until it is acked or given back. */
export interface Job extends Placed {
  readonly delivery: Delivery;
  /** Where order is kept, and the term of ownership in which the delivery came. */
  readonly partition: Partition | undefined;
  readonly term: number;
  /** Set while it is tried again without going back to the broker. */
  memory: Memory | undefined;
  /** When the broker last heard that it is in good hands. */
  lastSign: number;
}

/** What happened to a message since it was delivered, ahead of what is stored about it. */
export interface Memory {
  readonly stored: Stored;
  readonly record: MessageRecord;
  /** How often it has waited here, and since when. */
  readonly waits: number;
  readonly since: number;
}
