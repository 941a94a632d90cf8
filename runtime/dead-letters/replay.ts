import { bodyHeader } from '../nats/body-reference.ts';
import { percentEncoded, replayHeaders, resumeHeader, withoutControl } from '../nats/envelope.ts';
import { inboxSubject } from '../nats/names.ts';
import type { Entry } from '../transport/transport.ts';
import type { DeadLetter } from './letter.ts';
import type { DeadLetters } from './store.ts';

export interface ReplayOptions {
  /** Step to start at, with the message as it was accepted; else the first. */
  readonly from?: string | undefined;
  /** To every sink, also those that have the message. Without it, to the one that failed, where one did. */
  readonly everywhere?: boolean;
  /** In place of the original one. */
  readonly body?: Uint8Array;
}

/**
 * The replay of a dead letter: the accepted message again, headers and all, under an id that no earlier one of its lives had. What a
 * shared stream had delivered goes into the Integration's own inbox, because the other subscribers are done with it.
 */
export const replayEntry = (integration: string, letter: DeadLetter, options: ReplayOptions = {}): Entry => {
  const only = options.everywhere ? undefined : letter.key;
  const count = letter.replays + 1;
  return {
    subject: letter.subject.startsWith(`inbox.${integration}.`)
      ? letter.subject
      : inboxSubject(integration, 0, 'replay'),
    id: `${letter.messageId}${letter.key === undefined ? '' : `/${letter.key}`}.p${count}`,
    headers: {
      ...withoutControl(letter.headers),
      ...(letter.headers[resumeHeader] === undefined ? {} : { [resumeHeader]: letter.headers[resumeHeader] }),
      ...(letter.headers[bodyHeader] === undefined || options.body ? {} : { [bodyHeader]: letter.headers[bodyHeader] }),
      [replayHeaders.id]: percentEncoded(letter.messageId),
      [replayHeaders.count]: String(count),
      ...(options.from === undefined ? {} : { [replayHeaders.from]: percentEncoded(options.from) }),
      ...(only === undefined ? {} : { [replayHeaders.only]: percentEncoded(only) }),
    },
    body: options.body ?? letter.body,
  };
};

export type Replayed =
  | { readonly outcome: 'replayed' }
  /** Another replay of it is in the inbox or was a moment ago; the dead letter stays. */
  | { readonly outcome: 'duplicate' }
  /** It is in the inbox and still among the dead letters. */
  | { readonly outcome: 'kept'; readonly cause: unknown };

/** Stores the replay, and only when that is confirmed removes the dead letter. Throws when nothing was stored. */
export const replay = async (letters: DeadLetters, { id }: DeadLetter, entry: Entry): Promise<Replayed> => {
  const { duplicate } = await letters.publish(entry);
  if (duplicate) return { outcome: 'duplicate' };
  try {
    await letters.remove(id);
    return { outcome: 'replayed' };
  } catch (cause) {
    return { outcome: 'kept', cause };
  }
};
