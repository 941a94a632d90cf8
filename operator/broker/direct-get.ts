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
