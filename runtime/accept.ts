import type { Accept, Accepted, Log } from './connector.ts';
import { type InstructionError, reject, retry } from './errors.ts';
import { compileKey } from './expr/key.ts';
import type { Flow } from './flow.ts';
import type { Message } from './message.ts';
import { encodeMessage, headerRoom, keyAttribute, messageId } from './nats/envelope.ts';
import { inboxSubject } from './nats/names.ts';
import { partitionOf } from './nats/partition.ts';
import { type Transport, TransportError } from './transport/transport.ts';

export interface Inbox {
  readonly tenant: string;
  readonly integration: string;
  readonly partitions: number;
  /** CEL, where order is kept. */
  readonly key?: string | undefined;
}

export const inboxOf = ({ tenant, integration, delivery: { ordering, partitions, key } }: Flow): Inbox => ({
  tenant,
  integration,
  partitions,
  // Else nobody needs it, and a message without one need not be refused.
  key: ordering === 'Key' ? key : undefined,
});

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
  const { integration, partitions } = inbox;
  const keyOf = inbox.key === undefined ? undefined : compileKey(inbox.key, inbox);
  return async (message: Message): Promise<Accepted> => {
    // While NATS is away the client would keep what is published for later, and nobody would know when.
    if (!transport.healthy()) throw retry('InboxUnavailable', 'NATS is not connected');
    const { attrs } = message;
    const key = keyOf?.(message);
    const keyed = key === undefined ? message : { ...message, attrs: { ...attrs, [keyAttribute]: key } };
    const { headers, body } = envelope(keyed, transport.maxPayload());
    try {
      const { duplicate } = await transport.publish({
        subject: inboxSubject(integration, key === undefined ? 0 : partitionOf(key, partitions), source),
        id: messageId(source, attrs),
        headers,
        body,
      });
      return { id: attrs.id, duplicate };
    } catch (error) {
      throw instruction(error, integration, log);
    }
  };
};

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
