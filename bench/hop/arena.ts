import { type Consumer, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection, headers as natsHeaders } from '@nats-io/transport-node';
import { Body, type JsonValue } from '../../runtime/message.ts';
import { encodeMessage, messageId } from '../../runtime/nats/envelope.ts';
import { inboxStream, inboxSubject, inboxSubjects } from '../../runtime/nats/names.ts';
import { type NatsServer, startNats } from '../../test/cluster/nats.ts';
import { type OrderEvent, orderEvent, type Promised, verifiedIndex } from './events.ts';

/*
 * One server, two source streams with the same events and settings (a plain one for the yardsticks, Kanava's inbox with its envelope)
 * and, for each round, a fresh consumer and a fresh destination. A consumer starts paused, so that every participant starts pulling at
 * the same mark: the last event, stored after the resumption, because a paused consumer that is resumed looks only at its next message.
 * The end is the server's word too: nothing pending, nothing unacknowledged.
 */
export const integration = 'hop';
export const sources = {
  yardstick: { stream: 'SRC', subject: 'in', subjects: ['in'] },
  kanava: {
    stream: inboxStream(integration),
    subject: inboxSubject(integration, 0, 'in'),
    subjects: [inboxSubjects(integration)],
  },
} as const;
export type Source = keyof typeof sources;

export interface Round {
  /** Resolves when the participant has asked for messages. */
  waiting(alive: () => boolean): Promise<void>;
  /** Lets the consumer deliver, and stores the event of this number as the last one. */
  begin(last: number): Promise<void>;
  /** Resolves when `count` messages are acknowledged and nothing is left. */
  finished(count: number, alive: () => boolean): Promise<void>;
  /** Throws unless the destination holds each of the `count` events once, as promised. */
  verify(count: number, promised: Promised): Promise<void>;
  close(): Promise<void>;
}
export interface RoundOptions {
  readonly source: Source;
  readonly consumer: string;
  readonly destination: { readonly stream: string; readonly subjects: string[]; readonly allowBatch: boolean };
}
export interface Arena {
  readonly server: NatsServer;
  readonly manager: JetStreamManager;
  readonly connection: NatsConnection;
  fill(source: Source, count: number): Promise<void>;
  /** Without `paused` the consumer delivers at once. */
  round(options: RoundOptions, paused: boolean): Promise<Round>;
  close(): Promise<void>;
}

const farAwayMs = 3_600_000;
/** Of the harness's own requests: on a busy machine a round is slow, not void. */
const patienceMs = 60_000;
const pollMs = 5;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export const startArena = async (jetstreamConfig: string): Promise<Arena> => {
  const server = await startNats({ jetstream: `max_file: 20G\n${jetstreamConfig}` });
  const connection = await connect({ servers: server.url, noAsyncTraces: true });
  const manager = await jetstreamManager(connection, { timeout: patienceMs });
  const client = jetstream(connection, { timeout: patienceMs });
  for (const { stream, subjects } of Object.values(sources)) {
    await manager.streams.add({ name: stream, subjects: [...subjects], storage: 'file' });
  }
  await manager.streams.add({
    name: 'KV_state',
    subjects: ['$KV.state.>'],
    max_msgs_per_subject: 1,
    allow_direct: true,
    allow_msg_ttl: true,
  });
  await manager.streams.add({ name: `dlq_${integration}`, subjects: [`dlq.${integration}.*`] });

  return {
    server,
    manager,
    connection,
    async fill(source, count) {
      for (let from = 0; from < count; from += 500) {
        const indexes = Array.from({ length: Math.min(500, count - from) }, (_, at) => from + at);
        await Promise.all(
          indexes.map((index) => {
            const { headers, body } = stored(source, orderEvent(index));
            return client.publish(sources[source].subject, body, { headers });
          }),
        );
      }
    },
    async round({ source, consumer, destination }, paused) {
      const { stream } = sources[source];
      await manager.streams.add({
        name: destination.stream,
        subjects: destination.subjects,
        storage: 'file',
        ...(destination.allowBatch ? { allow_atomic: true } : {}),
      });
      await manager.consumers.add(stream, {
        durable_name: consumer,
        ack_policy: 'explicit',
        max_ack_pending: 20_000,
        ack_wait: 60e9,
        ...(paused ? { pause_until: new Date(Date.now() + farAwayMs).toISOString() } : {}),
      });
      let starter: number | undefined;
      const info = () => manager.consumers.info(stream, consumer);
      return {
        waiting: (alive) => until(async () => (await info()).num_waiting > 0, alive, 'asks for no messages'),
        async begin(last) {
          await manager.consumers.resume(stream, consumer);
          const { headers, body } = stored(source, orderEvent(last));
          headers.set('Nats-Msg-Id', `last/${consumer}/${destination.stream}/${Date.now()}`);
          starter = (await client.publish(sources[source].subject, body, { headers })).seq;
        },
        finished: (count, alive) =>
          until(
            async () => {
              const { num_pending: pending, num_ack_pending: unacknowledged, ack_floor: floor } = await info();
              return pending === 0 && unacknowledged === 0 && floor.consumer_seq >= count;
            },
            alive,
            'is not done with its messages',
          ),
        async verify(count, promised) {
          const reader = await client.consumers.get(destination.stream);
          await verifyAll(reader, count, promised);
        },
        async close() {
          await manager.streams.delete(destination.stream);
          await manager.consumers.delete(stream, consumer);
          if (starter !== undefined) await manager.streams.deleteMessage(stream, starter);
        },
      };
    },
    async close() {
      await connection.close();
      await server.close();
    },
  };
};

/** A program may end right after its last message, which the server then still counts. */
const lastLookMs = 1_000;
const longestMs = 300_000;

const until = async (holds: () => Promise<boolean>, alive: () => boolean, what: string): Promise<void> => {
  let deadline = Date.now() + longestMs;
  while (!(await holds())) {
    if (!alive()) deadline = Math.min(deadline, Date.now() + lastLookMs);
    if (Date.now() > deadline) throw new Error(`the participant ${what}${alive() ? '' : ', and has ended'}`);
    await pause(pollMs);
  }
};

/** An event as it lies in its source stream. */
export const stored = (source: Source, event: OrderEvent) => {
  if (source === 'yardstick') return { headers: natsHeaders(), body: Buffer.from(JSON.stringify(event)) };
  const attrs = { id: event.id, source: '/shop', type: event.type, specversion: '1.0' } as const;
  const encoded = encodeMessage({
    attrs: { ...attrs, datacontenttype: 'application/json', time: new Date(event.ts).toISOString() },
    headers: {},
    body: Body.fromValue(event as unknown as JsonValue),
  });
  const headers = natsHeaders();
  for (const [name, value] of Object.entries(encoded.headers)) headers.set(name, value);
  headers.set('Nats-Msg-Id', messageId('in', attrs));
  return { headers, body: encoded.body };
};

const verifyAll = async (reader: Consumer, count: number, promised: Promised) => {
  const found = new Set<number>();
  let messages = 0;
  while (messages < count) {
    const batch = await reader.fetch({ max_messages: Math.min(1_000, count - messages), expires: 5_000 });
    const before = messages;
    for await (const message of batch) {
      messages += 1;
      if (message.headers?.get('Nats-Msg-Id') === '') throw new Error('a message was published without an id');
      found.add(verifiedIndex(message.string(), promised));
    }
    if (messages === before) break;
  }
  const { num_pending: more } = await reader.info();
  if (found.size !== count || messages !== count || more !== 0) {
    throw new Error(
      `${count} messages were expected; ${messages} came, ${found.size} different ones, ${more} more wait`,
    );
  }
};
