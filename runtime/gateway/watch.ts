import { setTimeout as delay } from 'node:timers/promises';
import { AckPolicy, DeliverPolicy, type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { createInbox, type Msg, type NatsConnection, nanos } from '@nats-io/transport-node';
import type { Log } from '../connector.ts';
import { reasonOf } from '../errors.ts';
import { bucketStream, bucketSubject, gatewayBucket, inboxPrefix, routeKey } from '../nats/names.ts';

/*
 * Watches the route table with what the gateway's user may do: a push consumer without acks on the bucket's stream. A session lists
 * all entries and then follows the changes. It ends at the first doubt (a gap, silence, a deleted consumer or bucket), and the next one
 * lists anew, for ever: what is served never depends on having seen every change.
 */
export interface RouteEntry {
  readonly integration: string;
  readonly revision: number;
  /** Undefined: the entry was deleted. */
  readonly value: Uint8Array | undefined;
}
export interface RouteListener {
  changed(entry: RouteEntry): void;
  /** A session has seen the whole table; entries of other Integrations are gone. */
  listed(integrations: ReadonlySet<string>): void;
}
export interface RoutesWatch {
  close(): Promise<void>;
}

const stream = bucketStream(gatewayBucket);
const filter = bucketSubject(gatewayBucket, routeKey('*'));
const prefix = bucketSubject(gatewayBucket, routeKey(''));
const heartbeatMs = 2_000;
const silenceMs = 3 * heartbeatMs;
const requestMs = 5_000;
const firstBackoffMs = 100;
const longestBackoffMs = 5_000;

export const watchRoutes = (
  connection: NatsConnection,
  listener: RouteListener,
  log: Log,
  again: () => void,
): RoutesWatch => {
  const stop = new AbortController();
  // What was sent while nobody listened is not sent again: a session ends with its connection.
  const reconnects = new Set<() => void>();
  const followConnection = async (): Promise<void> => {
    for await (const event of connection.status()) {
      if (event.type === 'reconnect') for (const reconnected of reconnects) reconnected();
    }
  };
  void followConnection();
  const supervised = async (): Promise<void> => {
    let backoff = firstBackoffMs;
    while (!stop.signal.aborted && !connection.isClosed()) {
      let healthy = false;
      const listening = {
        ...listener,
        listed: (names: ReadonlySet<string>) => {
          healthy = true;
          listener.listed(names);
        },
      };
      const reason = await session(connection, reconnects, listening, stop.signal).catch(reasonOf);
      if (stop.signal.aborted) return;
      log.warn({ reason }, 'the route table is read again');
      again();
      backoff = healthy ? firstBackoffMs : Math.min(backoff * 2, longestBackoffMs);
      await delay(backoff * (0.5 + Math.random() / 2), undefined, { signal: stop.signal }).catch(() => undefined);
    }
  };
  const ended = supervised();
  return {
    close: () => {
      stop.abort();
      return ended;
    },
  };
};

/** Resolves with the reason why it ended. */
const session = async (
  connection: NatsConnection,
  reconnects: Set<() => void>,
  listener: RouteListener,
  signal: AbortSignal,
): Promise<string> => {
  const manager: JetStreamManager = await jetstreamManager(connection, { checkAPI: false, timeout: requestMs });
  const name = `gw_${crypto.randomUUID().replaceAll('-', '')}`;
  const inbox = createInbox(inboxPrefix('gateway'));
  const ended = Promise.withResolvers<string>();
  const abort = () => ended.resolve('the gateway stops');
  signal.addEventListener('abort', abort);
  const reconnected = () => ended.resolve('connected again');
  reconnects.add(reconnected);

  const seen = new Set<string>();
  let total: number | undefined;
  let received = 0;
  let listed = false;
  let heardAt = performance.now();

  const checkListed = () => {
    if (listed || total === undefined || received < total) return;
    listed = true;
    listener.listed(seen);
  };
  const take = (message: Msg) => {
    heardAt = performance.now();
    const status = statusOf(message);
    if (status !== undefined) {
      if (status !== 100) return ended.resolve(`the consumer ended with status ${status}`);
      const last = message.headers?.get('Nats-Last-Consumer');
      if (last && Number(last) !== received) ended.resolve(`heard of ${last} entries and saw ${received}`);
      return;
    }
    const { streamSequence, consumerSequence } = sequencesOf(message);
    if (consumerSequence !== received + 1) return ended.resolve('entries are missing');
    received += 1;
    const integration = message.subject.slice(prefix.length);
    const deleted = Boolean(message.headers?.get('KV-Operation')) || message.headers?.get('Nats-Marker-Reason');
    if (!deleted) seen.add(integration);
    listener.changed({ integration, revision: streamSequence, value: deleted ? undefined : message.data });
    checkListed();
  };

  const subscription = connection.subscribe(inbox, {
    callback: (error, message) => (error ? ended.resolve(error.message) : take(message)),
  });
  const watchdog = setInterval(() => {
    if (performance.now() - heardAt > silenceMs) ended.resolve(`nothing heard for ${silenceMs / 1000} s`);
  }, 1_000);
  try {
    const created = await manager.consumers.add(stream, {
      name,
      deliver_subject: inbox,
      filter_subject: filter,
      deliver_policy: DeliverPolicy.LastPerSubject,
      ack_policy: AckPolicy.None,
      idle_heartbeat: nanos(heartbeatMs),
      inactive_threshold: nanos(60_000),
      mem_storage: true,
      num_replicas: 1,
    });
    total = created.num_pending + created.delivered.consumer_seq;
    checkListed();
    return await ended.promise;
  } finally {
    signal.removeEventListener('abort', abort);
    reconnects.delete(reconnected);
    clearInterval(watchdog);
    subscription.unsubscribe();
    // Left alone it would go by itself after a minute.
    manager.consumers.delete(stream, name).catch(() => undefined);
  }
};

/** From the reply subject, whose end is `<stream sequence>.<consumer sequence>.<time>.<pending>` with 9 tokens, later in longer forms. */
const sequencesOf = (message: Msg): { streamSequence: number; consumerSequence: number } => {
  const tokens = (message.reply ?? '').split('.');
  const at = tokens.length === 9 ? 5 : 7;
  return { streamSequence: Number(tokens[at]), consumerSequence: Number(tokens[at + 1]) };
};

const statusOf = (message: Msg): number | undefined => {
  const code = message.headers?.code;
  return code ? code : undefined;
};
