import { z } from 'zod';
import { defineStep } from '../connector.ts';
import { mayLookAtBody } from '../expr/body-use.ts';
import { cel } from '../expr/fields.ts';
import { compilePredicate } from '../expr/predicate.ts';

const config = z.strictObject({ when: cel('Only messages for which it holds go on.') });

/** Message filter: what does not pass is done, not failed. */
export const filterStep = defineStep<z.infer<typeof config>>({
  name: 'filter',
  summary: 'Keeps messages for which an expression holds.',
  config,
  state: 'none',
  takesParts: ({ when }) => !mayLookAtBody(when),
  open({ when }, { scope }) {
    const holds = compilePredicate('filter.when', when);
    return { run: (message, attempt) => (holds(scope(message, attempt)) ? message : undefined) };
  },
  examples: () => [
    {
      why: 'what is worth it goes on',
      config: { when: 'body.total > 10' },
      given: { body: { total: 12.5 } },
      becomes: [{ body: { total: 12.5 } }],
    },
    {
      why: 'what does not pass is done: it is no failure',
      config: { when: 'body.total > 10' },
      given: { body: { total: 3 } },
      becomes: [],
    },
    {
      why: 'a field that may be absent',
      config: { when: "body.?status.orValue('') != 'draft'" },
      given: { body: { total: 3 } },
      becomes: [{ body: { total: 3 } }],
    },
    {
      why: 'a field that is not there',
      config: { when: 'body.total > 10' },
      given: { body: { sum: 3 } },
      rejects: 'ExpressionFailed',
    },
    { why: 'what is no expression', config: { when: 'body.total >' }, refused: 'not a CEL expression' },
  ],
});
