import type { Publish } from '../connector.ts';
import { reject, retry } from '../errors.ts';
import type { Message } from '../message.ts';
import { encodeMessage, headerRoom, messageId } from '../nats/envelope.ts';
import { busSubject } from '../nats/names.ts';
import { type Transport, TransportError } from '../transport/transport.ts';

/**
 * How the sinks and steps of an Integration publish to the bus. The id names the publisher, so that two that pass on one event are both heard, and
 * one that repeats itself is heard once. The transport may still be on its way when they open.
 */
export const createPublisher = (connecting: Promise<Transport>, integration: string) => {
  let connected: Transport | undefined;
  connecting.then(
    (transport) => {
      connected = transport;
    },
    // Whoever started it hears of it.
    () => undefined,
  );
  return (part: string): Publish => {
    const source = `bus/${integration}/${part}`;
    const subjectOf = lastSubject();
    const publish = (transport: Transport, message: Message, replay: number | undefined): Promise<void> => {
      const { headers, body } = encodeMessage(message);
      const most = transport.maxPayload() - headerRoom;
      if (body.length > most) {
        throw reject('MessageTooLarge', `the body has ${body.length} bytes; ${most} fit on the bus`);
      }
      const subject = subjectOf(message.attrs.type);
      const id = `${messageId(source, message.attrs)}${replay === undefined ? '' : `.p${replay}`}`;
      return transport.publish({ subject, id, headers, body }).then(stored, refused);
    };
    return (message, { replay }) => {
      try {
        if (connected) return publish(connected, message, replay);
      } catch (error) {
        return Promise.reject(error);
      }
      return connecting.then((transport) => publish(transport, message, replay));
    };
  };
};

/** Events of one part mostly have one type. */
const lastSubject = () => {
  let [last, subject] = ['', ''];
  return (type: string): string => {
    if (type !== last) [last, subject] = [type, busSubject(type)];
    return subject;
  };
};

const stored = () => undefined;
const refused = (cause: unknown): never => {
  if (!(cause instanceof TransportError)) throw cause;
  if (cause.code === 'TooLarge') throw reject('MessageTooLarge', cause.message, { cause });
  throw retry('BusUnavailable', cause.message, { cause });
};
