import type { Log } from '../connector.ts';
import { reasonOf } from '../errors.ts';
import type { Counters } from '../telemetry.ts';
import type { Delivery } from '../transport/transport.ts';
import type { Memory } from './job.ts';
import type { MessageRecord, Passed, Records, Stored } from './record.ts';

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
  /** As `write`, once a portion of the message is settled: what was known of that portion is worth nothing any more. */
  pass(delivery: Delivery, memory: Memory, passed: Passed): Promise<Memory>;
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
  const write: Memories['write'] = async (delivery, { stored, record: ahead }, naks) => {
    try {
      return await records.write(delivery, stored, (record) => ({
        ...record,
        ...gained(record, stored.record, ahead),
        naks: record.naks + naks,
        buried: record.buried || ahead.buried,
        started: false,
        deaths: 0,
      }));
    } catch (error) {
      refused(delivery, error);
      return stored;
    }
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
    write,
    async pass(delivery, memory, passed) {
      const record = { ...memory.record, attempts: 0, confirmed: [], passed, started: false, deaths: 0 };
      const stored = await write(delivery, { ...memory, record }, 0);
      return { stored, record, waits: 0, since: 0 };
    },
    forget: async (delivery, stored) => {
      if (stored.revision > 0) await records.remove(delivery).catch((error: unknown) => refused(delivery, error));
    },
  };
};

/** What `record` becomes by what happened between `before` and `ahead`: another worker may have written it meanwhile. */
const gained = (
  record: MessageRecord,
  before: MessageRecord,
  ahead: MessageRecord,
): Pick<MessageRecord, 'attempts' | 'confirmed' | 'passed'> => {
  const { passed } = ahead;
  if (isSame(record.passed, passed)) {
    const attempts = isSame(before.passed, passed) ? ahead.attempts - before.attempts : ahead.attempts;
    return {
      attempts: record.attempts + attempts,
      confirmed: [...new Set([...record.confirmed, ...ahead.confirmed])],
      passed,
    };
  }
  const isBehind = record.passed && passed?.by === record.passed.by && passed.messages < record.passed.messages;
  const { attempts, confirmed, passed: further } = isBehind ? record : ahead;
  return { attempts, confirmed, passed: further };
};

const isSame = (one: Passed | undefined, other: Passed | undefined): boolean =>
  one?.by === other?.by && one?.messages === other?.messages;
