import { reject } from '../errors.ts';
import { Body, type Message } from '../message.ts';
import { type BodyReference, referenceIn } from '../nats/body-reference.ts';
import { decodeMessage, deadLetterHeaders as names, percentDecoded } from '../nats/envelope.ts';

/** A message that failed for good, as it was accepted, with its last failure beside it. */
export interface DeadLetter {
  /** Its number in the stream: what people and programs call it by. */
  readonly id: number;
  /** RFC 3339, of the server. */
  readonly storedAt: string;
  /** Step or sink that failed. */
  readonly part: string;
  /** Set when a sink failed: what a replay delivers. */
  readonly key: string | undefined;
  readonly class: string;
  readonly code: string;
  readonly message: string;
  readonly attempts: number;
  readonly firstAt: string;
  readonly lastAt: string;
  /** Of the Integration whose worker gave up. */
  readonly generation: number;
  /** Where the message was read. */
  readonly subject: string;
  /** Deduplication id under which the message was accepted. */
  readonly messageId: string;
  /** How often it was replayed before. */
  readonly replays: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export const letterOf = (stored: {
  readonly sequence: number;
  readonly time: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}): DeadLetter => {
  const { sequence, time, headers, body } = stored;
  const text = (name: string) => percentDecoded(headers[name] ?? '');
  return {
    id: sequence,
    storedAt: time,
    part: text(names.part),
    key: headers[names.key] === undefined ? undefined : text(names.key),
    class: text(names.class),
    code: text(names.code),
    message: text(names.message),
    attempts: Number(text(names.attempts)),
    firstAt: text(names.first),
    lastAt: text(names.last),
    generation: Number(text(names.generation)),
    subject: text(names.subject),
    messageId: text(names.id),
    replays: Number(text(names.replays) || 0),
    headers,
    body,
  };
};

/** What was accepted; `undefined` when that was no CloudEvent, which is then why it is here. */
export const messageIn = ({ headers, body }: DeadLetter): Message | undefined => {
  try {
    const message = decodeMessage(headers, body);
    const large = referenceIn(headers);
    return large ? { ...message, body: Body.inPieces({ bytes: large.bytes, read: outOfReach }) } : message;
  } catch {
    return undefined;
  }
};

/** Where the body lies, if not in the dead letter: nobody who may replay it may read it. */
export const bodyElsewhere = ({ headers }: DeadLetter): BodyReference | undefined => {
  try {
    return referenceIn(headers);
  } catch {
    return undefined;
  }
};

const outOfReach = (): never => {
  throw reject('BodyNotLoaded', 'the body lies beside the inbox, where only the workers of the Integration read it');
};
