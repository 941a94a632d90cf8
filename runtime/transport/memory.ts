import { createMemoryConsumer, type MemoryConsumer } from './memory-consumer.ts';
import { createMemoryStream, type MemoryStream, type MemoryStreamSpec } from './memory-stream.ts';
import { type State, type Transport, TransportError } from './transport.ts';

/*
 * A broker in the memory of one process, for `kanava run` and `kanava test` only. It keeps the rules that the engine relies on; what a
 * server adds (permissions, connections, disks, restarts) it does not have. test/conformance/transport.ts holds it and JetStream together.
 */
export interface MemoryOptions {
  readonly streams: readonly MemoryStreamSpec[];
  readonly maxPayload?: number;
  readonly clock?: Clock;
}
export interface Clock {
  now(): number;
  /** Runs it once, later; returns what prevents that. */
  after(ms: number, run: () => void): () => void;
}
export interface MemoryTransport extends Transport {
  /** Messages that a stream stores. */
  stored(stream: string): number;
}

const realClock: Clock = {
  now: Date.now,
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};
const defaultMaxPayload = 1024 ** 2;

export const createMemoryTransport = (options: MemoryOptions): MemoryTransport => {
  const { maxPayload = defaultMaxPayload, clock = realClock } = options;
  const streams = new Map<string, MemoryStream>();
  const consumers = new Map<string, MemoryConsumer>();
  let closed = false;
  for (const spec of options.streams) {
    const stream = createMemoryStream(spec, clock);
    streams.set(spec.name, stream);
    for (const consumer of spec.consumers) {
      consumers.set(`${spec.name}/${consumer.name}`, createMemoryConsumer(stream, consumer, clock));
    }
  }
  const consumerOf = ({ stream, name }: { stream: string; name: string }): MemoryConsumer => {
    const found = consumers.get(`${stream}/${name}`);
    if (!found) throw new TransportError('NoStream', `there is no consumer "${name}" of "${stream}"`);
    return found;
  };

  return {
    async publish(entry) {
      if (closed) throw new TransportError('Unavailable', 'the transport was closed');
      const { subject, body } = entry;
      if (body.length > maxPayload) {
        throw new TransportError('TooLarge', `"${subject}": ${body.length} bytes; at most ${maxPayload} are taken`);
      }
      const stream = [...streams.values()].find((each) => each.takes(subject));
      if (!stream) throw new TransportError('NoStream', `no stream takes "${subject}"`);
      return stream.publish(entry);
    },
    consume: (consumer, { credit, deliver }) => consumerOf(consumer).consume({ credit, deliver }),
    fill: async (consumer) => consumerOf(consumer).fill(),
    state: createMemoryState(clock),
    stored: (stream) => streams.get(stream)?.size() ?? 0,
    healthy: () => !closed,
    maxPayload: () => maxPayload,
    async close() {
      closed = true;
      for (const consumer of consumers.values()) consumer.close();
    },
  };
};

const createMemoryState = (clock: Clock): State => {
  const values = new Map<string, { value: Uint8Array; revision: number; until: number }>();
  let revision = 0;
  const live = (key: string) => {
    const found = values.get(key);
    return found && clock.now() < found.until ? found : undefined;
  };
  return {
    read: async (key) => live(key),
    async write(key, value, expected, ttlMs) {
      const found = live(key)?.revision ?? 0;
      if (found !== expected) {
        throw new TransportError('Conflict', `state "${key}" has revision ${found}, not ${expected}`);
      }
      revision += 1;
      const until = ttlMs === undefined ? Infinity : clock.now() + Math.max(1, Math.ceil(ttlMs / 1000)) * 1000;
      values.set(key, { value: Uint8Array.from(value), revision, until });
      return revision;
    },
    async remove(key) {
      revision += 1;
      values.delete(key);
    },
  };
};
