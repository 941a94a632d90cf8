import type { z } from 'zod';
import { defineStep } from '../connector.ts';
import { cel } from '../expr/fields.ts';
import { choiceOf, duration, integer, shape } from '../schema.ts';

const config = shape(
  'Puts messages in order by a number.',
  {
    key: cel('What the messages of a sequence share, such as body.order.'),
    number: cel('Place in the sequence, such as body.no.'),
    first: integer('Number that begins a sequence.', -1_000_000_000, 1_000_000_000, {
      doc: 'Without it the lowest number that comes within the time-out begins it.',
    }).optional(),
    timeout: duration('How long a message waits for those before it.'),
    onGap: choiceOf('What becomes of who waited in vain; default Continue.', ['Continue', 'Reject'], {
      doc: 'Continue: it goes on without those that are missing, after those before it that came. Reject: it is a dead letter GapTimeout, and its number stays open; a replay of it goes on behind the step.',
    }).optional(),
    late: choiceOf('What becomes of numbers that are over; default Reject.', ['Reject', 'Drop'], {
      doc: 'A dead letter TooLate (or NumberTaken, when another message with its number waits), or nothing. A replay of such a dead letter goes on, out of order.',
    }).optional(),
    keep: duration('How long a sequence that rests is known; default 24h.', {
      doc: 'Then its next message begins it anew.',
    }).optional(),
  },
  {
    doc: 'It stands in spec.steps, not in a flow, and needs delivery.ordering Key, which keeps the order up to the sinks. The number is a whole one, or the text of one. A message is acknowledged when it is written into the queue of its key; when its turn comes, it goes through the inbox of the Integration once more, as it came, with the key as attrs.partitionkey and without variables. Up to 1 000 messages of a key wait, with half the bytes that one message may have: what comes then goes on as if the time were over, or is a dead letter TooManyWaiting. Queues take their size of the 64Mi that a tenant has for state.',
  },
);
export type ResequenceConfig = z.infer<typeof config>;

/** Resequencer. How queues survive is told in resequence-run.ts. */
export const resequenceStep = defineStep<ResequenceConfig>({
  name: 'resequence',
  summary: 'Puts messages in order by a number.',
  config,
  state: 'kept',
  resumes: true,
  ordered: true,
  async open(settings, context) {
    const { openResequence } = await import('./resequence-run.ts');
    return openResequence(settings, context);
  },
  examples: () => [
    {
      why: 'the changes of an order in their order, whatever the way did to it',
      config: { key: 'body.order', number: 'body.version', first: 1, timeout: '5m' },
      givenAll: [
        { body: { order: 'a', version: 2 } },
        { body: { order: 'b', version: 1 } },
        { body: { order: 'a', version: 1 } },
      ],
      becomes: [
        { body: { order: 'b', version: 1 } },
        { body: { order: 'a', version: 1 } },
        { body: { order: 'a', version: 2 } },
      ],
    },
    {
      why: 'a sequence that begins anywhere and has a gap: nobody waits longer than ten seconds',
      config: { key: 'body.device', number: 'body.no', timeout: '10s' },
      givenAll: [{ body: { device: 'd', no: 8 } }, { body: { device: 'd', no: 7 } }, { body: { device: 'd', no: 10 } }],
      becomes: [{ body: { device: 'd', no: 7 } }, { body: { device: 'd', no: 8 } }, { body: { device: 'd', no: 10 } }],
    },
    {
      why: 'without a number there is no place',
      config: { key: 'body.order', number: 'body.version', timeout: '5m' },
      given: { body: { order: 'a', version: 'first' } },
      rejects: 'NotANumber',
    },
    {
      why: 'waiting for ever',
      config: { key: 'body.order', number: 'body.version' },
      refused: 'timeout',
    },
  ],
});
