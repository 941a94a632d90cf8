import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { subscribeLasting } from './lasting.ts';
import { TransportError } from './transport.ts';
import type { Wire } from './wire.ts';

/*
 * Every publish that wants an answer (a PubAck, a confirmed ack, a read) goes through one subscription, keyed by a number in the reply
 * subject; time-outs are checked by one timer. It costs a fifth of the client's request() per message, which builds an Error and a timer
 * for each success. What is unanswered at a reconnect is sent again as it was: entries carry their id, so repeats store nothing twice.
 */
export interface Call<T> {
  readonly subject: string;
  readonly payload: Uint8Array | string;
  /** Header lines. */
  readonly headers?: string;
  /** Writes what goes right before this one, whenever it is sent, without an answer of its own. */
  readonly ahead?: () => void;
  /** Turns the answer into a result, or throws. */
  readonly read: (answer: Msg, subject: string) => T;
}
export interface Calls {
  send<T>(call: Call<T>): Promise<T>;
  /** The server refused this subject: whoever waits for it is told at once. */
  denied(subject: string): void;
  connected(): void;
  disconnected(): void;
  close(): void;
}

interface Pending {
  number: number;
  readonly call: Call<unknown>;
  readonly deadline: number;
  /** When it is sent again after "no responders". */
  retryAt: number;
  tries: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

const timeoutMs = 5_000;
const tickMs = 250;
/** A restarting server has no responders for a moment while it recovers its streams. */
const mostTries = 6;
const noResponders = 503;

export const createCalls = (
  connection: NatsConnection,
  wire: Wire,
  { replyPrefix, window }: { replyPrefix: string; window: number },
): Calls => {
  /** By number, modulo its length. A map would keep alive what went through it: see runtime/engine/bag.ts. */
  const slots: (Pending | undefined)[] = Array.from({ length: 2 * window }, () => undefined);
  let pending = 0;
  /** Those that nobody answered for, until they are sent again. */
  const unheard = new Map<number, Pending>();
  const waiting: Pending[] = [];
  const numberAt = replyPrefix.length + 1;
  let lastNumber = 0;
  let online = true;
  let onlineSince = Date.now();
  let timer: NodeJS.Timeout | undefined;

  const inOrder = () => slots.filter((entry) => entry !== undefined).sort((a, b) => a.number - b.number);
  const transmit = (entry: Pending) => {
    const { subject, payload, headers, ahead } = entry.call;
    try {
      ahead?.();
      wire.publish(subject, `${replyPrefix}.${entry.number}`, payload, headers);
    } catch (cause) {
      settle(entry);
      entry.reject(new TransportError('Unavailable', `sending to "${subject}" failed`, { cause }));
    }
  };
  const launch = (entry: Pending) => {
    // Past those that are not answered yet.
    do lastNumber += 1;
    while (slots[lastNumber % slots.length]);
    entry.number = lastNumber;
    slots[lastNumber % slots.length] = entry;
    pending += 1;
    if (online) transmit(entry);
  };
  const settle = ({ number, tries }: Pending) => {
    slots[number % slots.length] = undefined;
    pending -= 1;
    if (tries > 0) unheard.delete(number);
    const next = waiting.shift();
    if (next) launch(next);
  };

  const answered = (answer: Msg) => {
    const number = Number(answer.subject.slice(numberAt));
    const entry = slots[number % slots.length];
    if (entry?.number !== number) return;
    if (answer.data.length === 0 && answer.headers?.code === noResponders) {
      entry.tries += 1;
      entry.retryAt = Date.now() + tickMs;
      unheard.set(number, entry);
      if (entry.tries < mostTries) return;
      settle(entry);
      entry.reject(
        new TransportError('NoStream', `nothing answers on "${entry.call.subject}": its stream or consumer is missing`),
      );
      return;
    }
    settle(entry);
    try {
      entry.resolve(entry.call.read(answer, entry.call.subject));
    } catch (failure) {
      entry.reject(failure);
    }
  };
  const subscription = subscribeLasting(connection, `${replyPrefix}.*`, { take: answered });

  const tick = () => {
    const now = Date.now();
    const code = online && now - onlineSince >= timeoutMs ? 'Unanswered' : 'Unavailable';
    const expire = (entry: Pending) =>
      entry.reject(new TransportError(code, `no answer on "${entry.call.subject}" within ${timeoutMs} ms`));
    for (const entry of inOrder()) {
      // All have the same time: the oldest are the first to expire.
      if (entry.deadline > now) break;
      settle(entry);
      expire(entry);
    }
    for (const [number, entry] of unheard) {
      if (entry.retryAt > now || !online) continue;
      unheard.delete(number);
      transmit(entry);
    }
    while (waiting[0] && waiting[0].deadline <= now) expire(waiting.shift() as Pending);
    if (pending > 0 || waiting.length > 0) return;
    clearInterval(timer);
    timer = undefined;
  };

  return {
    send: <T>(call: Call<T>) =>
      new Promise<T>((resolve, reject) => {
        const entry: Pending = {
          number: 0,
          call,
          deadline: Date.now() + timeoutMs,
          retryAt: 0,
          tries: 0,
          resolve: resolve as (value: unknown) => void,
          reject,
        };
        timer ??= setInterval(tick, tickMs);
        if (pending < window) launch(entry);
        else waiting.push(entry);
      }),
    denied(subject) {
      for (const entry of inOrder()) {
        if (entry.call.subject !== subject) continue;
        settle(entry);
        entry.reject(new TransportError('Denied', `these credentials may not publish to "${subject}"`));
      }
    },
    connected() {
      online = true;
      onlineSince = Date.now();
      unheard.clear();
      for (const entry of inOrder()) transmit(entry);
    },
    disconnected() {
      online = false;
    },
    close() {
      clearInterval(timer);
      subscription.close();
      for (const entry of [...inOrder(), ...waiting]) {
        entry.reject(new TransportError('Unavailable', 'the connection was closed'));
      }
      slots.fill(undefined);
      pending = 0;
      waiting.length = 0;
    },
  };
};
