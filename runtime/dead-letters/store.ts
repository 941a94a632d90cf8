import { type JetStreamManager, jetstreamManager, type StoredMsg } from '@nats-io/jetstream';
import { connect, PermissionViolationError } from '@nats-io/transport-node';
import { reasonOf } from '../errors.ts';
import { credsAuthenticator } from '../nats/creds.ts';
import { deadLetterStream, inboxPrefix } from '../nats/names.ts';
import { entryHeaders, readPubAck } from '../transport/pub-acks.ts';
import { type Entry, type Stored, TransportError } from '../transport/transport.ts';
import { type DeadLetter, letterOf } from './letter.ts';

/** The dead letters of one Integration, with what the role `replay` may do. Everything rejects with a TransportError. */
export interface DeadLetters {
  count(): Promise<number>;
  /** Oldest first, without holding more than a part of them. */
  all(): AsyncIterable<DeadLetter>;
  get(id: number): Promise<DeadLetter | undefined>;
  /** Removed for good; false when it was gone already. */
  remove(id: number): Promise<boolean>;
  /** Into the inbox. */
  publish(entry: Entry): Promise<Stored>;
  close(): Promise<void>;
}

export interface Access {
  readonly url: string;
  /** Text of a credentials file of the role `replay`, or of one that may more. */
  readonly creds?: string | undefined;
  /** The server's CA, PEM; none: the public ones. */
  readonly ca?: string | undefined;
}

const timeoutMs = 10_000;
const batch = { messages: 256, bytes: 4 * 1024 * 1024 };
const noMessage = 10_037;
const noStream = 10_059;

/** Rejects with `Unavailable`, `Denied` (these credentials may not) or `NoStream` (there is no such Integration in this account). */
export const openDeadLetters = async (integration: string, { url, creds, ca }: Access): Promise<DeadLetters> => {
  const stream = deadLetterStream(integration);
  const connection = await connect({
    servers: url,
    name: 'dead letters',
    inboxPrefix: inboxPrefix('replay', integration),
    timeout: timeoutMs,
    ...(creds === undefined ? {} : { authenticator: credsAuthenticator(() => creds) }),
    ...(ca === undefined ? {} : { tls: { ca } }),
  }).catch((cause: unknown) => {
    throw new TransportError('Unavailable', `NATS at ${url} does not let us in: ${reasonOf(cause)}`, { cause });
  });
  const manager: JetStreamManager = await jetstreamManager(connection, { checkAPI: false, timeout: timeoutMs });
  const state = () => manager.streams.info(stream).then((info) => info.state, failed(stream));
  try {
    await state();
  } catch (error) {
    await connection.close();
    throw error;
  }
  return {
    count: async () => (await state()).messages,
    async *all() {
      // What comes meanwhile is for the next time: else replays that fail at once would be read for ever.
      const { last_seq: last } = await state();
      for (let next = 1; next <= last; ) {
        const found = await manager.direct.getBatch(stream, {
          seq: next,
          batch: batch.messages,
          max_bytes: batch.bytes,
        });
        let seen = 0;
        for await (const stored of found) {
          if (stored.seq > last) return;
          seen += 1;
          next = stored.seq + 1;
          yield read(stored);
        }
        if (seen === 0) return;
      }
    },
    async get(id) {
      const stored = await manager.direct.getMessage(stream, { seq: id }).catch(failed(stream));
      return stored ? read(stored) : undefined;
    },
    async remove(id) {
      try {
        return await manager.streams.deleteMessage(stream, id);
      } catch (error) {
        return codeOf(error) === noMessage ? false : failed(stream)(error);
      }
    },
    publish: async ({ subject, id, headers, body }) =>
      readPubAck(
        await connection
          .request(subject, body, { headers: entryHeaders({ id, headers }), timeout: timeoutMs })
          .catch(failed(subject)),
        subject,
      ),
    close: () => connection.close(),
  };
};

const codeOf = (error: unknown): number | undefined => (error as { code?: number }).code;

const failed =
  (what: string) =>
  (error: unknown): never => {
    const cause = error instanceof Error && error.cause instanceof PermissionViolationError ? error.cause : error;
    if (cause instanceof PermissionViolationError)
      throw new TransportError('Denied', `these credentials may not use ${what}`, { cause });
    if (codeOf(error) === noStream)
      throw new TransportError('NoStream', `there is no ${what} in this account`, { cause });
    throw new TransportError('Unavailable', `${what}: ${reasonOf(error)}`, { cause: error });
  };

const read = (stored: StoredMsg): DeadLetter => {
  const headers: Record<string, string> = {};
  for (const [name, values] of stored.header) headers[name] = values[0] ?? '';
  return letterOf({ sequence: stored.seq, time: stored.timestamp, headers, body: stored.data });
};
