import { createHash } from 'node:crypto';
import type { Log, Once, Turn } from '../connector.ts';
import { reasonOf, retry } from '../errors.ts';
import { answerBucket, answerKey } from '../nats/names.ts';
import type { JetStreamTransport } from '../transport/jetstream.ts';
import { type State, TransportError } from '../transport/transport.ts';

/*
 * What was answered, by key, in a bucket that every gateway of the tenant reads: written first without an answer, which goes by itself when
 * a gateway dies with it, then with one, which the bucket keeps for an hour and as long as there is room. A record is the print of the
 * request, a line break, and the answer if there is one.
 */
export const createOnce =
  (transport: Pick<JetStreamTransport, 'bucket' | 'healthy' | 'maxPayload'>, log: Log) =>
  (integration: string): Once => {
    const state = transport.bucket(answerBucket);
    return async ({ key, print, forMs }) => {
      if (!transport.healthy()) throw retry('AnswersUnavailable', 'NATS is not connected');
      const name = answerKey(integration, createHash('sha256').update(key).digest('hex'));
      try {
        return await turnOf(state, { name, print, forMs, most: transport.maxPayload() - headerRoom, log });
      } catch (error) {
        throw retry('AnswersUnavailable', 'earlier answers cannot be looked up', { cause: error });
      }
    };
  };

const headerRoom = 1024;
/** From the deadline of a call to its answer's record. */
const lateMs = 5_000;
/** The first one may be gone when it is looked at. */
const mostTries = 3;

interface Asked {
  readonly name: string;
  readonly print: string;
  readonly forMs: number;
  readonly most: number;
  readonly log: Log;
}

const turnOf = async (state: State, asked: Asked): Promise<Turn> => {
  const { name, print, forMs } = asked;
  for (let tries = 1; tries <= mostTries; tries += 1) {
    try {
      const revision = await state.write(name, Buffer.from(print), 0, forMs + lateMs);
      return firstTurn(state, asked, revision);
    } catch (error) {
      if (!(error instanceof TransportError) || error.code !== 'Conflict') throw error;
    }
    const found = await state.read(name);
    if (found) return laterTurn(Buffer.from(found.value), print);
  }
  return { kind: 'running' };
};

const firstTurn = (state: State, { name, print, most, log }: Asked, revision: number): Turn => {
  const release = () =>
    state.remove(name).catch((error: unknown) => {
      log.warn({ reason: reasonOf(error) }, 'a key stays taken until its time is over');
    });
  return {
    kind: 'first',
    release,
    async keep(answer) {
      const record = Buffer.concat([Buffer.from(`${print}\n`), answer]);
      if (record.length > most) {
        log.warn({ bytes: record.length, most }, 'an answer is too large to be kept: a repeat will run again');
        return release();
      }
      try {
        await state.write(name, record, revision);
      } catch (error) {
        log.warn({ reason: reasonOf(error) }, 'an answer could not be kept: a repeat will run again');
      }
    },
  };
};

const laterTurn = (record: Buffer, print: string): Turn => {
  const end = record.indexOf('\n');
  const first = record.toString('utf8', 0, end < 0 ? record.length : end);
  if (first !== print) return { kind: 'other' };
  return end < 0 ? { kind: 'running' } : { kind: 'kept', answer: record.subarray(end + 1) };
};
