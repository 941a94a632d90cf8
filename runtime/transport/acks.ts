import type { Calls } from './calls.ts';
import type { Wire } from './wire.ts';

/*
 * Double acks of one consumer, confirmed together. A server handles what one connection sends to one consumer in the order of sending, so
 * the answer to the last ack of a group is the answer to all of them; a group is what one turn of the event loop acknowledged. Repeated
 * (after a reconnect, or when nobody answered) is always the whole group: what was on the way may be lost. That a group failed is told
 * to everybody in it, who then sends again.
 */
export interface Acks {
  /** Resolves when the server has confirmed it. */
  send(reply: string): Promise<void>;
}

const ack = '+ACK';
/** Bounds what is sent again, and how long the first of a group waits. */
const largest = 256;

interface Group {
  readonly replies: string[];
  readonly settled: Promise<void>;
  readonly settle: (outcome: Promise<void>) => void;
}

export const createAcks = (calls: Calls, wire: Wire): Acks => {
  let open: Group | undefined;
  const close = () => {
    if (!open) return;
    const { replies, settle } = open;
    open = undefined;
    const last = replies.pop() as string;
    const ahead = () => {
      for (const reply of replies) wire.publish(reply, '', ack);
    };
    settle(calls.send({ subject: last, payload: ack, ahead, read: () => undefined }));
  };
  return {
    send(reply) {
      if (!open) {
        const { promise, resolve } = Promise.withResolvers<void>();
        open = { replies: [], settled: promise, settle: resolve };
        wire.atEnd(close);
      }
      const { replies, settled } = open;
      replies.push(reply);
      if (replies.length === largest) close();
      return settled;
    },
  };
};
