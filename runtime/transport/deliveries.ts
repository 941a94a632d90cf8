import type { Msg, NatsConnection } from '@nats-io/transport-node';
import type { Calls } from './calls.ts';
import type { Delivery } from './transport.ts';

/*
 * A delivered message's reply subject says where it is stored:
 *   $JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>.<consumer sequence>.<time>.<pending>
 *   $JS.ACK.<domain>.<account>.<stream>.<consumer>.<deliveries>.<...>
 */
const shortForm = 9;

export const deliveryOf = (connection: NatsConnection, calls: Calls, message: Msg): Delivery => {
  const reply = message.reply ?? '';
  const tokens = reply.split('.');
  const at = tokens.length === shortForm ? 2 : 4;
  const tell = (text: string) => {
    if (!connection.isClosed()) connection.publish(reply, text);
  };
  return {
    stream: tokens[at] ?? '',
    deliveries: Number(tokens[at + 2]),
    sequence: Number(tokens[at + 3]),
    subject: message.subject,
    headers: headersOf(message),
    body: message.data,
    ack: () => calls.send({ subject: reply, payload: '+ACK', read: () => undefined }),
    nak: (delayMs) => tell(delayMs > 0 ? `-NAK {"delay": ${Math.round(delayMs * 1e6)}}` : '-NAK'),
    working: () => tell('+WPI'),
  };
};

const headersOf = (message: Msg): Record<string, string> => {
  const headers: Record<string, string> = {};
  if (message.headers) for (const [name, values] of message.headers) headers[name] = values[0] ?? '';
  return headers;
};
