import type { Log } from '../connector.ts';
import { reasonOf } from '../errors.ts';
import type { Counters } from '../telemetry.ts';
import type { Delivery } from '../transport/transport.ts';
import type { Memory } from './job.ts';
import type { MessageRecord, Records, Stored } from './record.ts';

/*
 * What is remembered of a message beyond this worker: read and written here only. Except for the first read and a suspect's mark, a bucket
 * that refuses stops nothing: it is counted and told, and the message is worth more than what is known of it.
 */
export interface Memories {
  /** Without it nobody knows which sinks have the message already: rejects, and the message waits for the bucket. */
  recall(delivery: Delivery): Promise<Memory>;
  /** A suspect's start mark: found at its next delivery, a worker died with it. Rejects when it cannot be written. */
  mark(delivery: Delivery, memory: Memory, deaths: number): Promise<Memory>;
  /** Writes down what happened since the message was read; `naks` of ours are about to follow. Returns what is stored now. */
  write(delivery: Delivery, memory: Memory, naks: number): Promise<Stored>;
  /** The message is done. What stays behind is harmless: the record names its message, and sequence numbers do not come back. */
  forget(delivery: Delivery, stored: Stored): Promise<void>;
  /** Counts and tells that the bucket refused something of this message. */
  refused(delivery: Delivery, error: unknown): void;
}

export interface MemoryOptions {
  readonly records: Records;
  readonly counters: Counters;
  readonly log: Log;
}

export const memoryOf = (stored: Stored): Memory => ({ stored, record: stored.record, waits: 0, since: 0 });

export const createMemories = ({ records, counters, log }: MemoryOptions): Memories => {
  const refused = (delivery: Delivery, error: unknown) => {
    counters.stateRefused += 1;
    const { stream, sequence } = delivery;
    log.error({ stream, sequence, reason: reasonOf(error) }, 'the state bucket refused a record');
  };
  return {
    refused,
    recall: async (delivery) => {
      try {
        return memoryOf(await records.read(delivery));
      } catch (error) {
        counters.stateRefused += 1;
        throw error;
      }
    },
    mark: async (delivery, memory, deaths) => {
      const marked = (record: MessageRecord) => ({ ...record, started: true, deaths });
      const stored = await records.write(delivery, memory.stored, marked);
      return { ...memory, stored, record: marked(memory.record) };
    },
    write: async (delivery, { stored, record: ahead }, naks) => {
      const gained = ahead.attempts - stored.record.attempts;
      try {
        return await records.write(delivery, stored, (record) => ({
          ...record,
          attempts: record.attempts + gained,
          naks: record.naks + naks,
          confirmed: [...new Set([...record.confirmed, ...ahead.confirmed])],
          buried: record.buried || ahead.buried,
          started: false,
          deaths: 0,
        }));
      } catch (error) {
        refused(delivery, error);
        return stored;
      }
    },
    forget: async (delivery, stored) => {
      if (stored.revision > 0) await records.remove(delivery).catch((error: unknown) => refused(delivery, error));
    },
  };
};
