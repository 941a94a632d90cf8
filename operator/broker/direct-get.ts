import type { Msg, MsgHdrs, NatsConnection } from '@nats-io/transport-node';
import { BrokerError } from '../reconcile/ports.ts';

/** The stored message as it is, without the stream's leader in between. */
export interface StoredMessage {
  readonly sequence: number;
  readonly time: string;
  readonly body: Uint8Array;
  header(name: string): string | undefined;
}

/** The last message of a subject, which may have wildcards. `undefined`: none. The stream must allow direct gets. */
export const lastStored = async (
  connection: NatsConnection,
  stream: string,
  subject: string,
): Promise<StoredMessage | undefined> => {
  const query = JSON.stringify({ last_by_subj: subject });
  const message = await connection.request(`$JS.API.DIRECT.GET.${stream}`, query, { timeout: 5_000 });
  const { headers } = message;
  const status = headers?.code ?? 0;
  if (status === 404) return undefined;
  if (status >= 300 || !headers)
    throw new BrokerError(
      'Invalid',
      `Stream ${stream} did not give ${subject}: ${headers?.description ?? 'no headers'}`,
    );
  return storedIn(message, headers);
};

const mostAtOnce = 1_000;

/** The messages after `sequence`, of those that fit. */
export const storedSince = async (
  connection: NatsConnection,
  stream: string,
  subject: string,
  sequence: number,
): Promise<(StoredMessage & { readonly subject: string })[]> => {
  const found: (StoredMessage & { readonly subject: string })[] = [];
  for (let after = sequence; ; ) {
    const page = await storedPage(connection, stream, subject, after);
    found.push(...page);
    const last = page.at(-1);
    if (page.length < mostAtOnce || !last) return found;
    after = last.sequence;
  }
};

const storedPage = async (connection: NatsConnection, stream: string, subject: string, after: number) => {
  const query = JSON.stringify({ seq: after + 1, next_by_subj: subject, batch: mostAtOnce });
  const found: (StoredMessage & { readonly subject: string })[] = [];
  // The end of a batch is a message without a body, but so are the marks of what was removed.
  const options = { strategy: 'count', maxMessages: mostAtOnce + 1, maxWait: 5_000 } as const;
  for await (const message of await connection.requestMany(`$JS.API.DIRECT.GET.${stream}`, query, options)) {
    const status = message.headers?.code ?? 0;
    if (status === 404 || status === 204) return found;
    if (status >= 300 || !message.headers) break;
    found.push({ ...storedIn(message, message.headers), subject: message.headers.get('Nats-Subject') });
  }
  throw new BrokerError('Unreachable', `Stream ${stream} did not give all of ${subject} within 5 s`);
};

const storedIn = ({ data }: Msg, headers: MsgHdrs): StoredMessage => ({
  sequence: Number(headers.get('Nats-Sequence')),
  time: headers.get('Nats-Time-Stamp'),
  body: data,
  header: (name) => headers.get(name) || undefined,
});
