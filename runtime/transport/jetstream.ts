import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type NatsConnection, nuid, PermissionViolationError } from '@nats-io/transport-node';
import type { Log } from '../connector.ts';
import { credsAuthenticator } from '../nats/creds.ts';
import {
  bodyStream,
  bodySubject,
  bucketStream,
  bucketSubject,
  busPrefix,
  inboxPrefix,
  ownerGroup,
  type Role,
  stateBucket,
} from '../nats/names.ts';
import { createAcks } from './acks.ts';
import { createBatches } from './batches.ts';
import { createCalls } from './calls.ts';
import { type DeliveryContext, StoredDelivery } from './deliveries.ts';
import { createHeaderReader, headerLines, headersOf, wireHeaders } from './header-block.ts';
import { subscribeLasting } from './lasting.ts';
import { entryLines, readPubAck } from './pub-acks.ts';
import { type Pull, type PullTrouble, startPull } from './pull.ts';
import { createState } from './state.ts';
import {
  type CallServer,
  type ConsumerFill,
  type Notices,
  type State,
  type Transport,
  TransportError,
} from './transport.ts';
import { createWire } from './wire.ts';

export interface ConnectOptions {
  /** Holds `url`, `creds` (absent: no authentication) and `ca.crt` (absent: no TLS); read again at every reconnect. */
  readonly folder: string;
  readonly role: Role;
  readonly integration?: string;
  /** Shown in the server's list of connections. */
  readonly name: string;
  readonly log: Log;
  /** The connection ended for good: the process cannot go on. */
  readonly onClosed?: (error: Error | undefined) => void;
  /** Something that is being healed. */
  readonly onTrouble?: (trouble: PullTrouble | 'connection') => void;
}
export interface JetStreamTransport extends Transport, CallServer, Notices {
  /** Another bucket than `state`, for those who may use it. */
  bucket(name: string): State;
  /** Why it is not healthy. */
  trouble(): string | undefined;
  /** For what the engine has no word for (the gateway's bucket watch). */
  readonly connection: NatsConnection;
}

/** Bytes around header lines, and room for a few that others add. */
const headerFrame = 64;
/** PubAcks awaited at once; the rest waits here. */
const window = 4096;

/** Waits for the first connection as long as it takes. */
export const connectTransport = async (options: ConnectOptions): Promise<JetStreamTransport> => {
  const { log } = options;
  const prefix = inboxPrefix(options.role, options.integration);
  const connection = await open(options, prefix);
  const session = `${prefix}.${nuid.next()}`;
  const wire = createWire(connection);
  const calls = createCalls(connection, wire, { replyPrefix: `${session}.c`, window });
  const events = createBatches(calls, wire);
  const pulls = new Set<Pull>();
  let pullsMade = 0;
  let online = true;
  let connections = 1;
  let maxPayload = connection.info?.max_payload ?? 0;

  const watch = async () => {
    for await (const event of connection.status()) {
      switch (event.type) {
        case 'disconnect':
          online = false;
          connections += 1;
          calls.disconnected();
          options.onTrouble?.('connection');
          log.warn({ server: event.server }, 'lost the connection to NATS');
          break;
        case 'reconnect':
          online = true;
          maxPayload = connection.info?.max_payload ?? maxPayload;
          log.info({ server: event.server }, 'connected to NATS again');
          events.reconnected();
          calls.connected();
          for (const pull of pulls) pull.reconnected();
          break;
        case 'error':
          log.error({ reason: event.error.message }, 'NATS reported an error');
          if (event.error instanceof PermissionViolationError && event.error.operation === 'publish') {
            calls.denied(event.error.subject);
            for (const pull of pulls) pull.denied(event.error.subject);
          }
          break;
        default:
      }
    }
  };
  void watch();
  void connection.closed().then((error) => {
    online = false;
    if (error) log.error({ reason: error.message }, 'the connection to NATS ended for good');
    options.onClosed?.(error ?? undefined);
  });

  const info = (stream: string, name: string): Promise<ConsumerFill> => {
    const subject = `$JS.API.CONSUMER.INFO.${stream}.${name}`;
    return calls.send({
      subject,
      payload: '',
      read: (answer) => {
        const found = answer.json<ConsumerInfo>();
        if (found.error) {
          throw new TransportError('NoStream', `consumer "${name}" of "${stream}": ${found.error.description}`);
        }
        return {
          pending: found.num_pending ?? 0,
          ackPending: found.num_ack_pending ?? 0,
          maxAckPending: found.config?.max_ack_pending ?? 0,
          deliveredTo: found.delivered?.stream_seq ?? 0,
          owner: found.priority_groups?.[0]?.pinned_client_id,
        };
      },
    });
  };

  const bucket = (name: string): State =>
    createState(calls, { stream: bucketStream(name), subjectOf: (key) => bucketSubject(name, key) });

  return {
    connection,
    publish(entry) {
      try {
        const { subject, body } = entry;
        const headers = entryLines(entry);
        const bytes = headers.length + body.length + headerFrame;
        if (maxPayload > 0 && bytes > maxPayload) {
          throw new TransportError('TooLarge', `"${subject}": ${bytes} bytes; the server takes at most ${maxPayload}`);
        }
        if (subject.startsWith(busPrefix)) return events.publish({ subject, payload: body, headers });
        return calls.send({ subject, payload: body, headers, read: readPubAck });
      } catch (error) {
        return Promise.reject(error);
      }
    },
    consume({ stream, name }, { credit, deliver, exclusive }) {
      const context: DeliveryContext = {
        stream,
        consumer: name,
        wire,
        acks: createAcks(calls, wire),
        headersOf: createHeaderReader(),
        isClosed: () => connection.isClosed(),
      };
      pullsMade += 1;
      const pull = startPull(connection, wire, {
        stream,
        name,
        credit,
        deliver,
        ...(exclusive ? { exclusive } : {}),
        log,
        replyPrefix: `${session}.p${pullsMade}`,
        online: () => online,
        probe: () => info(stream, name),
        unpin: () =>
          calls.send({
            subject: `$JS.API.CONSUMER.UNPIN.${stream}.${name}`,
            payload: JSON.stringify({ group: ownerGroup }),
            read: () => undefined,
          }),
        received: (message) => deliver(new StoredDelivery(context, message)),
        onTrouble: (trouble) => options.onTrouble?.(trouble),
      });
      pulls.add(pull);
      return {
        ...pull,
        async stop() {
          await pull.stop();
          pulls.delete(pull);
        },
      };
    },
    serve(subject, group, handle) {
      const subscription = subscribeLasting(connection, subject, {
        queue: group,
        take(message) {
          if (!message.reply) return;
          const answer = (headers: Readonly<Record<string, string>>, body: Uint8Array) => {
            message.respond(body, { headers: wireHeaders(headerLines(headers)) });
          };
          handle({ headers: headersOf(message), body: message.data, answer });
        },
      });
      return {
        async stop() {
          if (online) await subscription.drain();
          else subscription.close();
        },
      };
    },
    tell(subject, text) {
      // Who comes back tells again.
      if (online) wire.publish(subject, '', text);
    },
    hear(subject, take) {
      const subscription = subscribeLasting(connection, subject, {
        take: ({ data }) => take(Buffer.from(data).toString()),
      });
      return { stop: subscription.close };
    },
    fill: ({ stream, name }) => info(stream, name),
    state: bucket(stateBucket),
    bucket,
    bodies: (integration) =>
      createState(calls, {
        stream: bodyStream(integration),
        subjectOf: (key) => bodySubject(integration, key),
      }),
    connections: () => connections,
    trouble() {
      if (!online) return 'not connected to NATS';
      const found = [...pulls].map((pull) => pull.trouble()).filter((reason) => reason !== undefined);
      return found.length > 0 ? found.join('; ') : undefined;
    },
    healthy: () => online && [...pulls].every((pull) => pull.healthy()),
    maxPayload: () => maxPayload,
    async close() {
      await Promise.all([...pulls].map((pull) => pull.stop()));
      // Everything that was sent, acks above all, reaches the server first.
      wire.flush();
      if (online) await connection.flush().catch(() => undefined);
      calls.close();
      await connection.close();
    },
  };
};

interface ConsumerInfo {
  readonly num_pending?: number;
  readonly num_ack_pending?: number;
  readonly config?: { readonly max_ack_pending?: number };
  readonly priority_groups?: readonly { readonly pinned_client_id?: string }[];
  readonly delivered?: { readonly stream_seq?: number };
  readonly error?: { readonly description?: string };
}

const open = ({ folder, name }: ConnectOptions, prefix: string): Promise<NatsConnection> => {
  const file = (which: string) => join(folder, which);
  const servers = readFileSync(file('url'), 'utf8')
    .split(',')
    .map((url) => url.trim());
  return connect({
    servers,
    name,
    inboxPrefix: prefix,
    ...(existsSync(file('creds'))
      ? { authenticator: credsAuthenticator(() => readFileSync(file('creds'), 'utf8')) }
      : {}),
    ...(existsSync(file('ca.crt')) ? { tls: { caFile: file('ca.crt') } } : {}),
    // Expired credentials are replaced in the file: an authentication error is a reason to try again, not to end.
    ignoreAuthErrorAbort: true,
    waitOnFirstConnect: true,
    // A connection that is lost between the server's greeting and its last word the client takes for one that still comes, for this long.
    timeout: 5_000,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 500,
    reconnectJitterTLS: 1_000,
    pingInterval: 20_000,
    maxPingOut: 2,
    noAsyncTraces: true,
  });
};
