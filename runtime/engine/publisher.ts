import type { SinkContext } from '../connector.ts';
import { reject, retry } from '../errors.ts';
import { encodeMessage, headerRoom, messageId } from '../nats/envelope.ts';
import { busSubject } from '../nats/names.ts';
import { type Transport, TransportError } from '../transport/transport.ts';

/**
 * How the sinks of an Integration publish to the bus. The id names the publisher, so that two that pass on one event are both heard, and
 * one that repeats itself is heard once. The transport may still be on its way when the sinks open.
 */
export const createPublisher =
  (connecting: Promise<Transport>, integration: string) =>
  (sink: string): SinkContext['publish'] =>
  async (message, { replay }) => {
    const transport = await connecting;
    const { headers, body } = encodeMessage(message);
    const most = transport.maxPayload() - headerRoom;
    if (body.length > most) {
      throw reject('MessageTooLarge', `the body has ${body.length} bytes; ${most} fit on the bus`);
    }
    try {
      await transport.publish({
        subject: busSubject(message.attrs.type),
        id: `${messageId(`bus/${integration}/${sink}`, message.attrs)}${replay === undefined ? '' : `.p${replay}`}`,
        headers,
        body,
      });
    } catch (cause) {
      if (!(cause instanceof TransportError)) throw cause;
      if (cause.code === 'TooLarge') throw reject('MessageTooLarge', cause.message, { cause });
      throw retry('BusUnavailable', cause.message, { cause });
    }
  };
