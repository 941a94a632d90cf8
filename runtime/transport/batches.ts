import { nuid } from '@nats-io/transport-node';
import type { Calls } from './calls.ts';
import { headerLines } from './header-block.ts';
import { parsePubAck, readPubAck } from './pub-acks.ts';
import type { Stored } from './transport.ts';
import type { Wire } from './wire.ts';

/*
 * Publishes into one stream, stored together: where the server waits for the disk it waits once for all of them (an atomic batch). One
 * batch is on its way, and what comes meanwhile is the next one. A stream offers it or not; a worker may not ask, so the first try
 * tells. A batch that was refused stored nothing, and one whose answer was lost may have stored everything: each of its messages is then
 * published alone, by its id stored once, and hears for itself what is wrong.
 */
export interface Publish {
  readonly subject: string;
  readonly payload: Uint8Array;
  /** Header lines, with the message id. */
  readonly headers: string;
}
export interface Batches {
  publish(message: Publish): Promise<Stored>;
  /** Another server, or the same with other settings: asks again. */
  reconnected(): void;
}

interface Waiting extends Publish {
  readonly resolve: (stored: Stored | Promise<Stored>) => void;
}

/** Error numbers of nats-server: the stream does not do it, or not with message ids. */
const notOffered: ReadonlySet<number> = new Set([10174, 10177]);
const largest = 256;
const largestBytes = 4 * 1024 * 1024;

export const createBatches = (calls: Calls, wire: Wire): Batches => {
  let waiting: Waiting[] = [];
  let scheduled = false;
  let onTheWay = false;
  let offered = true;

  const alone = ({ subject, payload, headers }: Publish): Promise<Stored> =>
    calls.send({ subject, payload, headers, read: readPubAck });

  const together = async (batch: readonly Waiting[]): Promise<void> => {
    const id = nuid.next();
    const linesOf = (message: Publish, at: number) =>
      message.headers + headerLines({ 'Nats-Batch-Id': id, 'Nats-Batch-Sequence': String(at + 1) });
    const last = batch.at(-1) as Waiting;
    try {
      const { seq = 0, error } = await calls.send({
        subject: last.subject,
        payload: last.payload,
        headers: linesOf(last, batch.length - 1) + headerLines({ 'Nats-Batch-Commit': '1' }),
        ahead: () => {
          for (const [at, message] of batch.slice(0, -1).entries()) {
            wire.publish(message.subject, '', message.payload, linesOf(message, at));
          }
        },
        read: parsePubAck,
      });
      if (!error) {
        const first = seq - batch.length + 1;
        for (const [at, message] of batch.entries()) message.resolve({ sequence: first + at, duplicate: false });
        return;
      }
      if (notOffered.has(error.err_code ?? 0)) offered = false;
    } catch {
      // Each message hears of it by itself.
    }
    for (const message of batch) message.resolve(alone(message));
  };

  const sendWaiting = () => {
    scheduled = false;
    if (onTheWay) return;
    const batch = offered ? taken(waiting) : waiting;
    waiting = waiting.slice(batch.length);
    if (batch.length <= 1 || !offered) {
      for (const message of batch) message.resolve(alone(message));
      if (waiting.length > 0) sendWaiting();
      return;
    }
    onTheWay = true;
    void together(batch).then(() => {
      onTheWay = false;
      if (waiting.length > 0) sendWaiting();
    });
  };

  return {
    publish(message) {
      if (!offered) return alone(message);
      return new Promise((resolve) => {
        waiting.push({ ...message, resolve });
        if (scheduled || onTheWay) return;
        scheduled = true;
        // What one turn of the event loop publishes goes together.
        wire.atEnd(sendWaiting);
      });
    },
    reconnected: () => void (offered = true),
  };
};

/** As many as one batch may have. */
const taken = (waiting: readonly Waiting[]): readonly Waiting[] => {
  let bytes = 0;
  const end = waiting.findIndex(({ payload, headers }, at) => {
    bytes += payload.length + headers.length;
    return at === largest || (at > 0 && bytes > largestBytes);
  });
  return end < 0 ? waiting : waiting.slice(0, end);
};
