import { bodyHeader } from '../nats/body-reference.ts';
import { deadLetterHeaders as names, percentEncoded, resumeHeader, withoutControl } from '../nats/envelope.ts';
import { deadLetterSubject, inboxStream } from '../nats/names.ts';
import type { Delivery, Entry } from '../transport/transport.ts';
import { isReplay, resumeOf } from './course.ts';
import { idOf, type MessageRecord } from './record.ts';
import type { Failure } from './retry.ts';

const longestMessage = 1024;

/** The message as it was accepted, with its failure beside it. Its id is the same however often it is written. */
export const deadLetter = (
  { integration, generation }: { integration: string; generation: number },
  delivery: Delivery,
  record: MessageRecord,
  failure: Failure,
  now: number,
): Entry => ({
  subject: deadLetterSubject(integration, failure.part),
  id: `${delivery.stream}/${delivery.sequence}/${failure.key ?? failure.part}/${idOf(delivery)}`,
  headers: {
    ...withoutControl(delivery.headers),
    [names.class]: failure.class,
    [names.code]: failure.code,
    [names.message]: percentEncoded(failure.message.slice(0, longestMessage)),
    [names.part]: failure.part,
    [names.attempts]: String(record.attempts),
    [names.first]: record.firstAt,
    [names.last]: new Date(now).toISOString(),
    [names.generation]: String(generation),
    [names.subject]: delivery.subject,
    [names.id]: percentEncoded(idOf(delivery)),
    ...(failure.key === undefined ? {} : { [names.key]: percentEncoded(failure.key) }),
    ...(isReplay(delivery, integration) ? handedOn(delivery.headers, [names.id, names.replays]) : {}),
    ...(resumeOf(delivery, integration) === undefined ? {} : handedOn(delivery.headers, [resumeHeader])),
    ...(delivery.stream === inboxStream(integration) ? handedOn(delivery.headers, [bodyHeader]) : {}),
  },
  body: delivery.body,
});

/** Of what began as one message, also after several replays. */
const handedOn = (headers: Delivery['headers'], kept: readonly string[]): Record<string, string> =>
  Object.fromEntries(kept.flatMap((name) => (headers[name] ? [[name, headers[name]]] : [])));
