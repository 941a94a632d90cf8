import type { z } from 'zod';
import { type Attempt, defineStep, type StepContext } from '../connector.ts';
import { postpone } from '../errors.ts';
import { cel } from '../expr/fields.ts';
import { compileTime } from '../expr/time.ts';
import type { Message } from '../message.ts';
import { duration, milliseconds, oneOf } from '../schema.ts';

const config = oneOf(
  'time',
  'Lets messages wait.',
  {
    for: duration('Time from when the message was accepted.'),
    until: cel('When it goes on: an RFC 3339 time, such as body.dueAt.'),
  },
  {
    doc: 'A message that waits is parked with the broker and comes through the steps before this one again: put it first. Up to 20 000 messages of an Integration can wait; then nothing is delivered until the first is due. With delivery.ordering Key the later messages of its key wait, too. A call (http with reply) cannot wait: it fails with Delayed.',
  },
);

/** Delayer without a memory: when a message is due follows from the message, whoever asks. It takes no place among those that run. */
export const delayStep = defineStep<z.infer<typeof config>>({
  name: 'delay',
  summary: 'Lets messages wait before they go on.',
  config,
  state: 'none',
  open({ for: wait, until }, { scope, now }) {
    const dueAt =
      until === undefined
        ? (_: Message, { acceptedAt }: Attempt) => acceptedAt + (milliseconds(wait as string) ?? 0)
        : untilTime(until, scope);
    return {
      run(message, attempt) {
        const afterMs = dueAt(message, attempt) - now();
        if (afterMs <= 0) return message;
        throw postpone('Delayed', `the message is due in ${Math.ceil(afterMs / 1_000)} s`, { afterMs });
      },
    };
  },
  examples: () => [
    {
      why: 'a minute after it was accepted',
      config: { for: '1m' },
      given: { body: { no: 7 } },
      becomes: [{ body: { no: 7 } }],
    },
    {
      why: 'a time that is over',
      config: { until: 'body.dueAt' },
      given: { body: { dueAt: '2020-02-29T12:00:00+02:00' } },
      becomes: [{ body: { dueAt: '2020-02-29T12:00:00+02:00' } }],
    },
    {
      why: 'a time that is computed',
      config: { until: "timestamp(body.at) - duration('1h')" },
      given: { body: { at: '2020-02-29T12:00:00Z' } },
      becomes: [{ body: { at: '2020-02-29T12:00:00Z' } }],
    },
    {
      why: 'what is no time',
      config: { until: 'body.dueAt' },
      given: { body: { dueAt: 'tomorrow' } },
      rejects: 'NotATime',
    },
    { why: 'what is no duration', config: { for: 'a while' }, refused: 'write a duration such as 30s' },
  ],
});

const untilTime = (source: string, scope: StepContext['scope']) => {
  const timeOf = compileTime('delay.until', source);
  return (message: Message, attempt: Attempt): number => timeOf(scope(message, attempt));
};
