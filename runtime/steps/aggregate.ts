import type { z } from 'zod';
import { defineStep } from '../connector.ts';
import { cel } from '../expr/fields.ts';
import { exprTree } from '../expr/tree.ts';
import { choiceOf, duration, integer, milliseconds, oneOf, shape } from '../schema.ts';

const time = cel('Time of a message; default: when it was accepted.').optional();
const lateness = duration('How long a window waits after its end; default 2s.').optional();
const late = choiceOf('What becomes of late messages; default Reject.', ['Reject', 'Drop'], {
  doc: 'Late is what comes when its windows are over and their groups sent: a dead letter TooLate, or nothing. Which windows are over is known for a day.',
}).optional();

const overlapText = 'set every to at least size / 24, and at most size';
/** What is no duration is said by another rule. */
const overlaps = (size: string, every: string): boolean => {
  const [sizeMs, everyMs] = [milliseconds(size) ?? 0, milliseconds(every) ?? 0];
  return sizeMs === 0 || everyMs === 0 || (everyMs <= sizeMs && sizeMs <= 24 * everyMs);
};

const eitherText = 'set one of until and window';
const config = shape(
  'Gathers messages into one, by key.',
  {
    key: cel('What the messages of a group share, such as body.orderId.'),
    until: shape('A group ends with what comes first.', {
      count: integer('So many messages.', 2, 1_000).optional(),
      when: cel('It holds; body is the list of bodies so far.').optional(),
      timeout: duration('So long after its first message came.'),
    }).optional(),
    window: oneOf('kind of window', 'Groups by time.', {
      tumbling: shape('Windows one after the other.', { size: duration('How long one is.'), time, lateness, late }),
      sliding: shape('Windows that overlap; a message is in several.', {
        size: duration('How long one is.'),
        every: duration('How often one begins.', { doc: 'At most 24 windows overlap.' }),
        time,
        lateness,
        late,
      }).refine(({ size, every }) => overlaps(size, every), { message: overlapText }),
      session: shape('A window lasts while messages come.', { gap: duration('Without a message it is over.') }),
    }).optional(),
    into: exprTree('New body, of the list of bodies; default: that list.').optional(),
  },
  {
    doc: 'It stands in spec.steps, not in a flow. What comes out has the list of the bodies as its body, in the order in which they were written down, an id of its own, the type of the first message, the key as attrs.partitionkey, and attrs.windowstart and attrs.windowend of its window. It goes through the inbox of the Integration, where it is a message of its own: tried again, and a dead letter with all bodies in the end. A message is acknowledged when it is written into its group. A group holds up to 1 000 messages and the bytes of one message; what comes then begins another one. Open groups take their size of the 64Mi that a tenant has for state.',
  },
)
  .refine(({ until, window }) => (until === undefined) !== (window === undefined), { message: eitherText })
  .meta({
    'x-kubernetes-validations': [{ rule: 'has(self.until) != has(self.window)', message: eitherText }],
  });
export type AggregateConfig = z.infer<typeof config>;

/** Aggregator. Groups live in the tenant's state until they end; how they survive is told in aggregate-run.ts. */
export const aggregateStep = defineStep<AggregateConfig>({
  name: 'aggregate',
  summary: 'Gathers messages into one, by key.',
  config,
  state: 'kept',
  resumes: true,
  async open(settings, context) {
    const { openAggregate } = await import('./aggregate-run.ts');
    return openAggregate(settings, context);
  },
  examples: () => [
    {
      why: 'the lines of an order, when the last one is there or after ten minutes',
      config: {
        key: 'body.order',
        until: { when: 'body.size() == body[0].of', timeout: '10m' },
        into: { order: '=body[0].order', lines: '=body.map(each, each.line)' },
      },
      givenAll: [
        { body: { order: 'a', of: 2, line: 'x' } },
        { body: { order: 'b', of: 2, line: 'y' } },
        { body: { order: 'a', of: 2, line: 'z' } },
      ],
      becomes: [{ body: { order: 'a', lines: ['x', 'z'] } }, { body: { order: 'b', lines: ['y'] } }],
    },
    {
      why: 'batches of up to three for one receiver, none of which waits longer than five seconds',
      config: { key: "'all'", until: { count: 3, timeout: '5s' } },
      givenAll: [{ body: 1 }, { body: 2 }, { body: 3 }, { body: 4 }],
      becomes: [{ body: [1, 2, 3] }, { body: [4] }],
    },
    {
      why: 'what each device measured in a minute, by the time that the device says',
      config: {
        key: 'body.device',
        window: { tumbling: { size: '1m', time: 'body.at', lateness: '10s' } },
        into: { device: '=body[0].device', minute: '=attrs.windowstart', values: '=body.map(each, each.value)' },
      },
      givenAll: [
        { body: { device: 'd', at: '2026-01-05T12:00:59Z', value: 7 } },
        { body: { device: 'd', at: '2026-01-05T12:01:00Z', value: 3 } },
        { body: { device: 'd', at: '2026-01-05T12:00:58Z', value: 8 } },
      ],
      becomes: [
        { body: { device: 'd', minute: '2026-01-05T12:00:00.000Z', values: [7, 8] } },
        { body: { device: 'd', minute: '2026-01-05T12:01:00.000Z', values: [3] } },
      ],
    },
    {
      why: 'the last minute, every half minute',
      config: { key: "'all'", window: { sliding: { size: '1m', every: '30s' } }, into: '=body.size()' },
      givenAll: [{ body: 1 }, { body: 2 }],
      becomes: [{ body: 2 }, { body: 2 }],
    },
    {
      why: 'what a visitor does, until nothing comes for half an hour',
      config: { key: 'body.visitor', window: { session: { gap: '30m' } }, into: '=body.map(each, each.page)' },
      givenAll: [{ body: { visitor: 'v', page: '/a' } }, { body: { visitor: 'v', page: '/b' } }],
      becomes: [{ body: ['/a', '/b'] }],
    },
    {
      why: 'a message without the key',
      config: { key: 'body.order', until: { timeout: '10m' } },
      given: { body: { line: 'x' } },
      rejects: 'KeyMissing',
    },
    {
      why: 'a group that nothing would end',
      config: { key: 'body.order', until: { count: 10 } },
      refused: 'timeout',
    },
    { why: 'neither until nor window', config: { key: 'body.order' }, refused: eitherText },
  ],
});
