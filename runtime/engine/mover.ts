import { postpone } from '../errors.ts';
import { compileKey } from '../expr/key.ts';
import type { Flow } from '../flow.ts';
import { decodeMessage, keyHeader, percentEncoded, withoutControl } from '../nats/envelope.ts';
import { inboxStream, inboxSubject } from '../nats/names.ts';
import { partitionOf } from '../nats/partition.ts';
import { type Delivery, type Transport, TransportError } from '../transport/transport.ts';
import { refusalOf } from './own-inbox.ts';
import { originOf } from './record.ts';

/*
 * Where order is kept, what comes from a shared stream goes through the Integration's own inbox: a message of a key has its place among all
 * others of that key only there. The key is that of this Integration, whatever the publisher wrote; it is in no header of the shared
 * stream, so a worker computes it.
 */
export interface Mover {
  /** Whether it is to be moved, and not to be worked on. */
  concerns(delivery: Delivery): boolean;
  /** Resolves when the inbox has it; a repeat is there once. Rejects with an instruction: `KeyMissing` for a message that has no key. */
  move(delivery: Delivery): Promise<void>;
}

/** A full inbox may have room again after any message that is done. */
const afterMs = 1_000;

export const createMover = (transport: Transport, flow: Flow): Mover => {
  const { integration, delivery } = flow;
  const own = inboxStream(integration);
  const keyOf = compileKey(delivery.key ?? "''", flow);
  return {
    concerns: ({ stream }) => stream !== own,
    async move(shared) {
      const { stream, headers, body } = shared;
      const key = keyOf(decodeMessage(headers, body));
      try {
        await transport.publish({
          subject: inboxSubject(integration, partitionOf(key, delivery.partitions), stream),
          id: originOf(shared),
          // Of replays and steps only the own inbox is believed: nothing of the kind comes in from elsewhere.
          headers: { ...withoutControl(headers), [keyHeader]: percentEncoded(key) },
          body,
        });
      } catch (error) {
        if (error instanceof TransportError && error.code === 'StreamFull')
          throw postpone('InboxFull', `the inbox of "${integration}" is full: ${error.message}`, {
            cause: error,
            afterMs,
          });
        throw refusalOf(error);
      }
    },
  };
};
