import { messageStateKey } from '../nats/names.ts';
import { type Delivery, type State, TransportError } from '../transport/transport.ts';

/*
 * What is remembered of a message that failed, written before it is parked. Success at the first attempt writes nothing. Attempts are
 * counted here and nowhere else: the broker's delivery count also rises when a worker is stopped, killed or replaced.
 */
export interface MessageRecord {
  /** Whose record it is: sequence numbers start again when a stream is made anew. */
  readonly id: string;
  readonly attempts: number;
  /** Deliveries that ended in a NAK of ours. */
  readonly naks: number;
  /** Sinks that need not be called again: they confirmed, or their dead letter is written. */
  readonly confirmed: readonly string[];
  /** Of a body that is taken apart: `attempts` and `confirmed` are of the messages that come after these. */
  readonly passed?: Passed | undefined;
  /** Set once a sink's dead letter is written. */
  readonly buried?: boolean | undefined;
  readonly firstAt: string;
  /** Set while a suspect runs: found set at its next delivery, a worker died with it. */
  readonly started: boolean;
  readonly deaths: number;
}
/** Messages from the first on that need no more of anything. */
export interface Passed {
  /** What took the body apart: another step, or the same with another configuration, makes other messages of it. */
  readonly by: string;
  readonly messages: number;
}
export interface Stored {
  readonly record: MessageRecord;
  /** 0: not stored. */
  readonly revision: number;
}

/*
 * One unexplained delivery is a rolling update, two a bad day of the node. From the third on the message is a suspect, which runs alone
 * after a start mark, so that only what it does itself counts against it.
 */
const suspectAfter = 3;
export const deadlyAfter = 3;
export const isSuspect = (delivery: Delivery, { naks, started }: MessageRecord): boolean =>
  started || delivery.deliveries - 1 - naks >= suspectAfter;

export interface Records {
  read(delivery: Delivery): Promise<Stored>;
  /** Writes unless another worker did meanwhile; then `change` is applied to what that one wrote. */
  write(delivery: Delivery, from: Stored, change: (record: MessageRecord) => MessageRecord): Promise<Stored>;
  remove(delivery: Delivery): Promise<void>;
}

const mostConflicts = 5;

export const createRecords = (state: State, integration: string, now: () => number): Records => {
  const key = (delivery: Delivery) => messageStateKey(integration, delivery.stream, delivery.sequence);
  const read = async (delivery: Delivery): Promise<Stored> => {
    const found = await state.read(key(delivery));
    if (!found) return fresh(delivery, now(), 0);
    const record = parse(found.value);
    return record?.id === idOf(delivery)
      ? { record, revision: found.revision }
      : fresh(delivery, now(), found.revision);
  };
  return {
    read,
    async write(delivery, from, change) {
      let current = from;
      for (let conflicts = 0; ; conflicts += 1) {
        const record = change(current.record);
        try {
          const value = Buffer.from(JSON.stringify(record));
          return { record, revision: await state.write(key(delivery), value, current.revision) };
        } catch (error) {
          if (conflicts === mostConflicts || !(error instanceof TransportError) || error.code !== 'Conflict')
            throw error;
          current = await read(delivery);
        }
      }
    },
    remove: (delivery) => state.remove(key(delivery)),
  };
};

export const fresh = (delivery: Delivery, at: number, revision: number): Stored => ({
  record: {
    id: idOf(delivery),
    attempts: 0,
    naks: 0,
    confirmed: [],
    firstAt: new Date(at).toISOString(),
    started: false,
    deaths: 0,
  },
  revision,
});

/** Names the stored message for parts that remember: by its place and its id, since sequence numbers may start again. */
export const originOf = (delivery: Delivery): string => `${delivery.stream}/${delivery.sequence}/${idOf(delivery)}`;

export const idOf = (delivery: Delivery): string =>
  delivery.headers['Nats-Msg-Id'] ?? delivery.headers['ce-id'] ?? String(delivery.sequence);

const parse = (value: Uint8Array): MessageRecord | undefined => {
  try {
    return JSON.parse(Buffer.from(value).toString()) as MessageRecord;
  } catch {
    return undefined;
  }
};
