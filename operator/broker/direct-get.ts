import type { NatsConnection } from '@nats-io/transport-node';
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
  return {
    sequence: Number(headers.get('Nats-Sequence')),
    time: headers.get('Nats-Time-Stamp'),
    body: message.data,
    header: (name) => headers.get(name) || undefined,
  };
};

const mostAtOnce = 1_000;

/** Subjects of the messages after `sequence`, of those that fit. */
export const subjectsSince = async (
  connection: NatsConnection,
  stream: string,
  subject: string,
  sequence: number,
): Promise<string[]> => {
  const found: string[] = [];
  for (let after = sequence; ; ) {
    const page = await subjectsPage(connection, stream, subject, after);
    found.push(...page.map((message) => message.subject));
    const last = page.at(-1);
    if (page.length < mostAtOnce || !last) return found;
    after = last.sequence;
  }
};

const subjectsPage = async (connection: NatsConnection, stream: string, subject: string, after: number) => {
  const query = JSON.stringify({ seq: after + 1, next_by_subj: subject, batch: mostAtOnce });
  const found: { subject: string; sequence: number }[] = [];
  // The end of a batch is a message without a body.
  const options = { strategy: 'sentinel', maxWait: 5_000 } as const;
  for await (const { headers } of await connection.requestMany(`$JS.API.DIRECT.GET.${stream}`, query, options)) {
    const status = headers?.code ?? 0;
    if (status === 404 || status === 204) return found;
    if (status >= 300 || !headers) break;
    found.push({ subject: headers.get('Nats-Subject'), sequence: Number(headers.get('Nats-Sequence')) });
  }
  throw new BrokerError('Unreachable', `Stream ${stream} did not give all of ${subject} within 5 s`);
};
