import type { Msg } from '@nats-io/transport-node';
import { tickStream } from '../nats/names.ts';
import { tickHeaders } from '../nats/ticks.ts';
import type { Acks } from './acks.ts';
import type { HeaderReader } from './header-block.ts';
import type { Delivery } from './transport.ts';
import type { Wire } from './wire.ts';

/*
 * A delivered message's reply subject says where it is stored:
 *   $JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>.<consumer sequence>.<time>.<pending>
 *   $JS.ACK.<domain>.<account>.<stream>.<consumer>.<deliveries>.<...>
 */
export interface DeliveryContext {
  readonly stream: string;
  readonly consumer: string;
  readonly wire: Wire;
  readonly acks: Acks;
  readonly headersOf: HeaderReader;
  readonly isClosed: () => boolean;
}

const timeAt = 3;
const noHeaders = {};

/** One is made for every message, and most are only run and acked: what few need is computed when it is asked for. */
export class StoredDelivery implements Delivery {
  readonly deliveries: number;
  readonly sequence: number;
  readonly body: Uint8Array;
  readonly #context: DeliveryContext;
  /** Let go when its headers are read: hundreds are held at once. */
  #message: Msg | undefined;
  #subject = '';
  readonly #reply: string;
  #headers: Readonly<Record<string, string>> = noHeaders;

  constructor(context: DeliveryContext, message: Msg) {
    this.#context = context;
    this.#message = message;
    this.#reply = message.reply ?? '';
    this.body = message.data;
    const at = numbersAt(context, this.#reply);
    this.deliveries = numberAt(this.#reply, at);
    this.sequence = numberAt(this.#reply, this.#reply.indexOf('.', at) + 1);
  }

  get stream(): string {
    return this.#context.stream;
  }

  get subject(): string {
    return this.#message ? this.#message.subject : this.#subject;
  }

  get headers(): Readonly<Record<string, string>> {
    if (this.#message) {
      const headers = this.#context.headersOf(this.#message, this.body);
      this.#headers = this.stream === tickStream ? tickHeaders(headers, this.storedMs()) : headers;
      this.#subject = this.#message.subject;
      this.#message = undefined;
    }
    return this.#headers;
  }

  ack(): Promise<void> {
    return this.#context.acks.send(this.#reply);
  }

  nak(delayMs: number): void {
    this.#tell(delayMs > 0 ? `-NAK {"delay": ${Math.round(delayMs * 1e6)}}` : '-NAK');
  }

  working(): void {
    this.#tell('+WPI');
  }

  #tell(text: string): void {
    const { wire, isClosed } = this.#context;
    if (!isClosed()) wire.publish(this.#reply, '', text);
  }

  storedMs(): number {
    return Number(this.#reply.slice(numbersAt(this.#context, this.#reply)).split('.')[timeAt]) / 1e6;
  }
}

const numbersAt = ({ stream, consumer }: DeliveryContext, reply: string): number => {
  const place = `.${stream}.${consumer}.`;
  return reply.indexOf(place) + place.length;
};

const [zero, dot] = ['0'.charCodeAt(0), '.'.charCodeAt(0)];

const numberAt = (text: string, from: number): number => {
  let number = 0;
  for (let at = from; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === dot) break;
    number = number * 10 + code - zero;
  }
  return number;
};
