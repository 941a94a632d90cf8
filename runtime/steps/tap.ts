import type { z } from 'zod';
import { type Attempt, defineStep, type Fate, type RunFlow } from '../connector.ts';
import { reasonOf } from '../errors.ts';
import type { Message } from '../message.ts';
import { duration, flowRef, milliseconds, shape } from '../schema.ts';
import { unlessAborted } from '../waiting.ts';

const config = shape(
  'Leads a copy through a flow, beside the message.',
  {
    flow: flowRef('Flow that the copy goes through.'),
    timeout: duration('Longest time of a copy; 30s when absent.').optional(),
  },
  {
    doc: 'The message goes on at once, and nothing that becomes of the copy decides about it: a copy that fails, or is late, is a line in the log. Steps of the flow bring it somewhere: publish, call, log. A copy is made once an attempt, and never tried again; it is lost when its worker dies, and left out while 64 of them are under way.',
  },
);

const mostCopies = 64;
const longestMs = 30_000;
/** Copies that are under way when the worker ends have so long. */
const graceMs = 2_000;

/** Wire tap. */
export const tapStep = defineStep<z.infer<typeof config>>({
  name: 'tap',
  summary: 'Leads a copy of a message through a flow, beside it.',
  config,
  state: 'none',
  open({ flow: name, timeout }, { flow, log }) {
    const through = flow(name);
    const timeoutMs = (timeout === undefined ? undefined : milliseconds(timeout)) ?? longestMs;
    const underWay = new Set<Promise<void>>();
    const ended = new AbortController();
    const lead = (message: Message, attempt: Attempt): void => {
      const failed = (error: unknown) =>
        log.warn({ id: message.attrs.id, flow: name, reason: reasonOf(error) }, 'a copy did not get through');
      const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), ended.signal]);
      const leading = copied(through, message, attempt, signal)
        .catch(failed)
        .finally(() => underWay.delete(leading));
      underWay.add(leading);
    };
    return {
      run(message, attempt) {
        if (underWay.size < mostCopies) lead(message, attempt);
        else log.warn({ id: message.attrs.id, flow: name }, `a copy was left out: ${mostCopies} are under way`);
        return message;
      },
      async close() {
        if (underWay.size === 0) return;
        const timer = setTimeout(() => ended.abort(new DOMException('the worker shuts down', 'AbortError')), graceMs);
        await Promise.all(underWay);
        clearTimeout(timer);
      },
    };
  },
  examples: () => [
    {
      why: 'an audit hears of each order, without a say in it',
      config: { flow: 'audit' },
      flows: { audit: [{ publish: { type: 'audit.order', body: { no: '=body.no' } } }] },
      given: { body: { no: 7, total: 3 } },
      becomes: [{ body: { no: 7, total: 3 } }],
      publishes: [{ type: 'audit.order', body: { no: 7 } }],
    },
    {
      why: 'a copy that fails: the message does not notice',
      config: { flow: 'audit' },
      flows: { audit: [{ publish: { type: '=body.none' } }] },
      given: { body: { no: 7 } },
      becomes: [{ body: { no: 7 } }],
      publishes: [],
    },
    {
      why: 'only some are copied, and what the flow changes is the copy',
      config: { flow: 'large', timeout: '5s' },
      flows: { large: [{ filter: { when: 'body.total > 10' } }, { set: { body: { seen: true } } }, { publish: {} }] },
      given: { attrs: { type: 'order' }, body: { total: 20 } },
      becomes: [{ body: { total: 20 } }],
      publishes: [{ type: 'order', body: { total: 20, seen: true } }],
    },
    {
      why: 'a body of any kind',
      config: { flow: 'seen' },
      flows: { seen: [{ log: { text: 'copied' } }] },
      given: { text: 'a' },
      becomes: [{ text: 'a' }],
    },
    { why: 'a time that is none', config: { flow: 'audit', timeout: '0s' }, refused: 'duration' },
  ],
});

/** What steps of the flow remember is told of the copy's fate: the message's is another matter. */
const copied = async (through: RunFlow, message: Message, attempt: Attempt, signal: AbortSignal): Promise<void> => {
  const listeners: ((fate: Fate) => Promise<void>)[] = [];
  const tell = (fate: Fate) => Promise.all(listeners.map((told) => told(fate)));
  const own: Attempt = {
    number: attempt.number,
    replay: attempt.replay,
    origin: attempt.origin,
    acceptedAt: attempt.acceptedAt,
    repeated: attempt.repeated,
    signal,
    settled: (told) => void listeners.push(told),
  };
  try {
    await unlessAborted(Promise.resolve(through(message, own)), signal);
  } catch (error) {
    await tell('withdrawn');
    throw error;
  }
  await tell('delivered');
};
