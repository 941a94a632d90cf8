import { removeBody, writeBody } from './bodies/write.ts';
import type { Accept, Accepted, Log } from './connector.ts';
import { type InstructionError, reasonOf, reject, retry } from './errors.ts';
import { compileKey } from './expr/key.ts';
import type { Flow, LargeBodies } from './flow.ts';
import { Body, type Message } from './message.ts';
import { type BodyReference, bodyHeader, writeReference } from './nats/body-reference.ts';
import { encodeMessage, headerRoom, keyAttribute, messageId } from './nats/envelope.ts';
import { inboxSubject } from './nats/names.ts';
import { partitionOf } from './nats/partition.ts';
import { type Entry, type Stored, type Transport, TransportError } from './transport/transport.ts';

export interface Inbox {
  readonly tenant: string;
  readonly integration: string;
  readonly partitions: number;
  /** CEL, where order is kept. */
  readonly key?: string | undefined;
  readonly largeBodies?: LargeBodies | undefined;
}

export const inboxOf = ({ tenant, integration, delivery, largeBodies }: Flow): Inbox => ({
  tenant,
  integration,
  largeBodies,
  partitions: delivery.partitions,
  // Else nobody needs it, and a message without one need not be refused.
  key: delivery.ordering === 'Key' ? delivery.key : undefined,
});

/** What is larger lies beside the inbox, where the Integration takes large bodies: a worker holds hundreds of messages. */
export const mostInside = 512 * 1024;

/** How a message goes on from here. The event's first appearance is the start of its correlation. */
export const envelope = (message: Message, maxPayload: number): ReturnType<typeof encodeMessage> => {
  const { attrs } = message;
  const encoded = encodeMessage({
    ...message,
    attrs: { ...attrs, correlationid: attrs['correlationid'] ?? attrs.id },
  });
  const most = maxPayload - headerRoom;
  if (encoded.body.length <= most) return encoded;
  throw reject('MessageTooLarge', `the body has ${encoded.body.length} bytes; ${most} fit`);
};

/**
 * Puts messages of one source into its inbox. Where order is kept the key is computed here, once, and says where the message lies.
 */
export const createAccept = (transport: Transport, inbox: Inbox, source: string, log: Log): Accept => {
  const { integration, partitions, largeBodies } = inbox;
  const keyOf = inbox.key === undefined ? undefined : compileKey(inbox.key, inbox);
  const isLarge = ({ body }: Message): boolean =>
    largeBodies !== undefined &&
    (body.large !== undefined || body.bytes().length > Math.min(mostInside, transport.maxPayload() - headerRoom));
  return async (message: Message): Promise<Accepted> => {
    // While NATS is away the client would keep what is published for later, and nobody would know when.
    if (!transport.healthy()) throw retry('InboxUnavailable', 'NATS is not connected');
    const { attrs } = message;
    const key = keyOf?.(message);
    const keyed = key === undefined ? message : { ...message, attrs: { ...attrs, [keyAttribute]: key } };
    const put = (part: Message, more?: Entry['headers']): Promise<Stored> => {
      const { headers, body } = envelope(part, transport.maxPayload());
      return transport.publish({
        subject: inboxSubject(integration, key === undefined ? 0 : partitionOf(key, partitions), source),
        id: messageId(source, attrs),
        headers: more ? { ...headers, ...more } : headers,
        body,
      });
    };
    try {
      const { duplicate } = largeBodies && isLarge(keyed) ? await putLarge(keyed, largeBodies, put) : await put(keyed);
      return { id: attrs.id, duplicate };
    } catch (error) {
      throw instruction(error, integration, log);
    }
  };

  /** The body first. It is taken back only when it is sure that no message in the inbox refers to it; else the operator finds it. */
  async function putLarge(
    message: Message,
    { largest }: LargeBodies,
    put: (part: Message, more: Entry['headers']) => Promise<Stored>,
  ): Promise<Stored> {
    const { body } = message;
    const store = transport.bodies(integration);
    const { reference, isLate } = await writeBody(store, body.large ? body.large.read() : [body.bytes()], {
      mostBytes: largest,
      mostPayload: transport.maxPayload() - headerRoom,
    });
    const takeBack = (cause?: unknown) => taken(reference, cause);
    const connections = transport.connections();
    const isSure = () => transport.connections() === connections;
    try {
      if (isLate()) throw retry('BodyTooSlow', 'the body took too long to come');
      const stored = await put({ ...message, body: nothing }, { [bodyHeader]: writeReference(reference) });
      if (stored.duplicate && isSure()) await takeBack();
      return stored;
    } catch (error) {
      if (isSure() && isRefusal(error)) await takeBack(error);
      throw error;
    }
  }

  async function taken(reference: BodyReference, cause: unknown): Promise<void> {
    await removeBody(transport.bodies(integration), reference).catch((error: unknown) =>
      log.warn(
        { integration, body: reference.id, reason: reasonOf(error), cause: cause && reasonOf(cause) },
        'a body that nobody refers to stays until the operator finds it',
      ),
    );
  }
};

const nothing = Body.fromBytes(new Uint8Array());

/** The server has answered that it did not store it, or nothing was sent. */
const isRefusal = (error: unknown): boolean =>
  !(error instanceof TransportError) || ['StreamFull', 'TooLarge', 'Denied'].includes(error.code);

const instruction = (cause: unknown, integration: string, log: Log): unknown => {
  if (!(cause instanceof TransportError)) return cause;
  const fail = (code: string): InstructionError => retry(code, cause.message, { cause });
  if (cause.code === 'StreamFull') return fail('InboxFull');
  if (cause.code === 'TooLarge') return reject('MessageTooLarge', cause.message, { cause });
  // No stream or no permission: the operator makes and mends both, so the sender shall try again.
  if (cause.code !== 'Unavailable' && cause.code !== 'Unanswered')
    log.error({ integration, code: cause.code, reason: cause.message }, 'no inbox');
  return fail('InboxUnavailable');
};
