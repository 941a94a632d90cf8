import { tickStream } from '../nats/names.ts';
import { tickHeaders } from '../nats/ticks.ts';
import type { Clock } from './memory.ts';
import { type MemoryConsumerSpec, type MemoryStream, type StoredEntry, subjectMatcher } from './memory-stream.ts';
import type { ConsumeOptions, ConsumerFill, Consumption, Delivery } from './transport.ts';

export interface MemoryConsumer {
  consume(options: ConsumeOptions): Consumption;
  fill(): ConsumerFill;
  /** Other subjects, from where it is. */
  listenTo(filters: readonly string[]): void;
  close(): void;
}

/** A message that was delivered and is neither acknowledged nor gone. */
interface Outstanding {
  readonly entry: StoredEntry;
  deliveries: number;
  /** Stops the wait for its next delivery. */
  cancel: () => void;
}

/** A durable consumer with explicit acks: what is due again comes before what is new, and pending acks have a limit. */
export const createMemoryConsumer = (stream: MemoryStream, spec: MemoryConsumerSpec, clock: Clock): MemoryConsumer => {
  let fits = matcherOf(spec.filters);
  const outstanding = new Map<number, Outstanding>();
  /** In the order in which they became due. */
  const due = new Set<Outstanding>();
  const readers = new Set<ConsumeOptions>();
  let owner: ConsumeOptions | undefined;
  let forgetOwner: () => void = () => undefined;
  let position = spec.deliver === 'new' ? stream.last() : 0;
  let scheduled = false;

  const schedule = () => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(pump);
  };
  const waitFor = (waiting: Outstanding, ms: number) => {
    waiting.cancel();
    waiting.cancel = clock.after(ms, () => {
      due.add(waiting);
      schedule();
    });
  };
  const next = (): Outstanding | undefined => {
    for (const again of due) {
      due.delete(again);
      if (outstanding.get(again.entry.sequence) !== again) continue;
      if (stream.get(again.entry.sequence)) return again;
      outstanding.delete(again.entry.sequence);
    }
    if (outstanding.size >= spec.maxAckPending) return undefined;
    const entry = stream.after(position, fits);
    if (!entry) return undefined;
    position = entry.sequence;
    const fresh: Outstanding = { entry, deliveries: 0, cancel: () => undefined };
    outstanding.set(entry.sequence, fresh);
    return fresh;
  };
  /** Of those that read exclusively, the first that came has the turn until it hands over or is gone for a while. */
  const hasTurn = (reader: ConsumeOptions): boolean => {
    if (!reader.exclusive || owner === reader) return true;
    if (owner) return false;
    owner = reader;
    reader.exclusive.changed(true);
    return true;
  };
  const endTurn = (reader: ConsumeOptions) => {
    if (owner !== reader) return;
    forgetOwner();
    owner = undefined;
    schedule();
  };
  const pump = () => {
    scheduled = false;
    for (const reader of readers) {
      if (!hasTurn(reader)) continue;
      while (readers.has(reader) && reader.credit() > 0) {
        const found = next();
        if (!found) return;
        found.deliveries += 1;
        waitFor(found, spec.ackWaitMs);
        reader.deliver(deliveryOf(found));
      }
    }
  };

  const deliveryOf = ({ entry, deliveries }: Outstanding): Delivery => {
    const { sequence, subject, id, body, at } = entry;
    const headers = { ...entry.headers, 'Nats-Msg-Id': id };
    const still = () => outstanding.get(sequence);
    return {
      stream: stream.name,
      sequence,
      subject,
      deliveries,
      headers: stream.name === tickStream ? tickHeaders(headers, at) : headers,
      body,
      storedMs: () => at,
      async ack() {
        const found = still();
        if (!found) return;
        found.cancel();
        outstanding.delete(sequence);
        stream.acknowledged(sequence);
        schedule();
      },
      nak(delayMs) {
        const found = still();
        if (!found) return;
        if (delayMs > 0) return waitFor(found, delayMs);
        found.cancel();
        due.add(found);
        schedule();
      },
      working() {
        const found = still();
        if (found) waitFor(found, spec.ackWaitMs);
      },
    };
  };

  stream.onStored(schedule);
  return {
    consume(options) {
      readers.add(options);
      schedule();
      return {
        more: schedule,
        async stop() {
          readers.delete(options);
          if (owner === options) forgetOwner = clock.after(spec.ackWaitMs, () => endTurn(options));
        },
        handOver: async () => endTurn(options),
      };
    },
    fill: () => ({
      deliveredTo: position,
      pending: stream.count(position, fits),
      ackPending: outstanding.size,
      maxAckPending: spec.maxAckPending,
    }),
    listenTo(filters) {
      fits = matcherOf(filters);
      schedule();
    },
    close() {
      readers.clear();
      forgetOwner();
      for (const each of outstanding.values()) each.cancel();
    },
  };
};

const matcherOf = (filters: readonly string[]) => (filters.length === 0 ? () => true : subjectMatcher(filters));
