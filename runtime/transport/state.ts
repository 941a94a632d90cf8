import { randomUUID } from 'node:crypto';
import type { Msg } from '@nats-io/transport-node';
import type { Calls } from './calls.ts';
import { headerLines } from './header-block.ts';
import { readPubAck } from './pub-acks.ts';
import { type State, TransportError } from './transport.ts';

/*
 * Values by key, as plain messages of a stream with one a subject: a worker may write and read those of its own Integration and nothing
 * else, so the client library's bucket (which asks for stream info) is of no use.
 */
const tombstoneTtl = '300s';

interface Found {
  readonly value: Uint8Array;
  readonly revision: number;
  readonly removed: boolean;
}

export const createState = (
  calls: Calls,
  { stream, subjectOf }: { readonly stream: string; readonly subjectOf: (key: string) => string },
): State => {
  const find = (key: string): Promise<Found | undefined> =>
    calls.send({
      subject: `$JS.API.DIRECT.GET.${stream}.${subjectOf(key)}`,
      payload: '',
      read: (answer: Msg) => {
        const code = answer.headers?.code ?? 0;
        if (code === 404) return undefined;
        if (code >= 400) throw new TransportError('Unavailable', `reading state "${key}": ${code}`);
        return {
          value: answer.data,
          revision: Number(answer.headers?.get('Nats-Sequence')),
          removed: answer.headers?.has('KV-Operation') === true,
        };
      },
    });

  const put = async (key: string, value: Uint8Array, more: Record<string, string>): Promise<number> => {
    const subject = subjectOf(key);
    // The id makes a repeat after a reconnect find its own first write instead of a conflict.
    const headers = headerLines({ 'Nats-Msg-Id': randomUUID(), ...more });
    return (await calls.send({ subject, payload: value, headers, read: readPubAck })).sequence;
  };
  const replace = (key: string, value: Uint8Array, revision: number, ttlMs: number | undefined) =>
    put(key, value, {
      'Nats-Expected-Last-Subject-Sequence': String(revision),
      ...(ttlMs === undefined ? {} : { 'Nats-TTL': `${Math.max(1, Math.ceil(ttlMs / 1000))}s` }),
    });

  return {
    async read(key) {
      const found = await find(key);
      return found && !found.removed ? { value: found.value, revision: found.revision } : undefined;
    },
    async write(key, value, revision, ttlMs) {
      try {
        return await replace(key, value, revision, ttlMs);
      } catch (error) {
        if (revision !== 0 || !(error instanceof TransportError) || error.code !== 'Conflict') throw error;
        const found = await find(key);
        if (!found?.removed) throw error;
        return await replace(key, value, found.revision, ttlMs);
      }
    },
    async remove(key) {
      await put(key, new Uint8Array(), { 'KV-Operation': 'DEL', 'Nats-TTL': tombstoneTtl });
    },
  };
};
