import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { tickStream } from '../nats/names.ts';
import { tickHeaders } from '../nats/ticks.ts';
import type { Acks } from './acks.ts';
import { headersOf } from './header-block.ts';
import type { Delivery } from './transport.ts';

/*
 * A delivered message's reply subject says where it is stored:
 *   $JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>.<consumer sequence>.<time>.<pending>
 *   $JS.ACK.<domain>.<account>.<stream>.<consumer>.<deliveries>.<...>
 */
const shortForm = 9;

export const deliveryOf = (connection: NatsConnection, acks: Acks, message: Msg): Delivery => {
  const reply = message.reply ?? '';
  const tokens = reply.split('.');
  const at = tokens.length === shortForm ? 2 : 4;
  const stream = tokens[at] ?? '';
  const headers = headersOf(message);
  const tell = (text: string) => {
    if (!connection.isClosed()) connection.publish(reply, text);
  };
  return {
    stream,
    deliveries: Number(tokens[at + 2]),
    sequence: Number(tokens[at + 3]),
    subject: message.subject,
    headers: stream === tickStream ? tickHeaders(headers, Number(tokens[at + 5]) / 1e6) : headers,
    body: message.data,
    ack: () => acks.send(reply),
    nak: (delayMs) => tell(delayMs > 0 ? `-NAK {"delay": ${Math.round(delayMs * 1e6)}}` : '-NAK'),
    working: () => tell('+WPI'),
  };
};
