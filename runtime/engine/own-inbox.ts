import type { OwnInbox } from '../connector.ts';
import { postpone, reject, retry } from '../errors.ts';
import type { Flow } from '../flow.ts';
import { encodeMessage, headerRoom, keyAttribute, messageId, resumeHeader } from '../nats/envelope.ts';
import { inboxSubject } from '../nats/names.ts';
import { partitionOf } from '../nats/partition.ts';
import { type Transport, TransportError } from '../transport/transport.ts';

/** How the steps of an Integration put messages into its own inbox. The transport may still be on its way when the steps open. */
export const createOwnInbox =
  (
    connecting: Promise<Transport>,
    { tenant, integration, delivery: { partitions } }: Pick<Flow, 'tenant' | 'integration' | 'delivery'>,
  ) =>
  (step: string): OwnInbox => ({
    source: `/${tenant}/${integration}/${step}`,
    async room() {
      return (await connecting).maxPayload() - headerRoom;
    },
    async put(message) {
      const transport = await connecting;
      const { headers, body } = encodeMessage(message);
      const partition = partitionOf(message.attrs[keyAttribute] ?? '', partitions);
      try {
        await transport.publish({
          subject: inboxSubject(integration, partition, step),
          id: messageId(step, message.attrs),
          headers: { ...headers, [resumeHeader]: step },
          body,
        });
        return true;
      } catch (error) {
        if (error instanceof TransportError && error.code === 'StreamFull') return false;
        throw refusalOf(error);
      }
    },
  });

/** That nothing can be stored is no message's fault. */
export const refusalOf = (cause: unknown): unknown => {
  if (!(cause instanceof TransportError)) return cause;
  if (cause.code === 'TooLarge') return reject('MessageTooLarge', cause.message, { cause });
  if (cause.code === 'Unavailable' || cause.code === 'Unanswered')
    return postpone('InboxUnavailable', cause.message, { cause });
  return retry('InboxRefused', cause.message, { cause, failure: 'fatal' });
};
