import { createMemoryConsumer, type MemoryConsumer } from './memory-consumer.ts';
import { createMemoryStream, type MemoryStream, type MemoryStreamSpec } from './memory-stream.ts';
import { type Entry, type State, type Transport, TransportError } from './transport.ts';

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
  /** Adds what is not there yet; a consumer that is there keeps its position and listens to other subjects from now on. */
  apply(streams: readonly MemoryStreamSpec[]): void;
  /** Messages that a stream stores: all, or those with such headers. */
  stored(stream: string, which?: (headers: Entry['headers']) => boolean): number;
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
  const bodies = new Map<string, State>();
  let closed = false;
  const apply = (specs: readonly MemoryStreamSpec[]): void => {
    for (const spec of specs) {
      const stream = streams.get(spec.name) ?? createMemoryStream(spec, clock);
      streams.set(spec.name, stream);
      for (const consumer of spec.consumers) {
        const key = `${spec.name}/${consumer.name}`;
        const found = consumers.get(key);
        if (found) found.listenTo(consumer.filters);
        else consumers.set(key, createMemoryConsumer(stream, consumer, clock));
      }
    }
  };
  apply(options.streams);
  const consumerOf = ({ stream, name }: { stream: string; name: string }): MemoryConsumer => {
    const found = consumers.get(`${stream}/${name}`);
    if (!found) throw new TransportError('NoStream', `there is no consumer "${name}" of "${stream}"`);
    return found;
  };

  return {
    apply,
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
    consume: (consumer, options) => consumerOf(consumer).consume(options),
    fill: async (consumer) => consumerOf(consumer).fill(),
    state: createMemoryState(clock),
    bodies(integration) {
      const found = bodies.get(integration) ?? createMemoryState(clock);
      bodies.set(integration, found);
      return found;
    },
    connections: () => 1,
    stored: (stream, which) => streams.get(stream)?.size(which) ?? 0,
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
