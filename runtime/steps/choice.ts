import { z } from 'zod';
import { defineStep } from '../connector.ts';
import { cel } from '../expr/fields.ts';
import { compilePredicate } from '../expr/predicate.ts';
import { flowRef, listOf, shape } from '../schema.ts';

const config = z.strictObject({
  cases: listOf(
    'Asked in order; the first that holds is taken.',
    shape('One case.', {
      when: cel('Taken when it holds.'),
      flow: flowRef('Flow that the message goes through.'),
    }),
    1,
    16,
  ),
  otherwise: flowRef('Flow when no case holds; absent: goes on as it is.').optional(),
});

/** Content-based router: the message goes through one named flow, and what comes out goes on to the next step. */
export const choiceStep = defineStep<z.infer<typeof config>>({
  name: 'choice',
  summary: 'Leads a message through the first flow that fits.',
  config,
  state: 'none',
  open({ cases, otherwise }, { scope, flow }) {
    const ways = cases.map(({ when, flow: name }, index) => ({
      holds: compilePredicate(`choice.cases[${index}].when`, when),
      through: flow(name),
    }));
    const rest = otherwise === undefined ? undefined : flow(otherwise);
    return {
      run(message, attempt) {
        const variables = scope(message, attempt);
        const through = ways.find(({ holds }) => holds(variables))?.through ?? rest;
        return through ? through(message, attempt) : message;
      },
    };
  },
  examples: () => [
    {
      why: 'the first case that holds leads the message through its flow',
      config: {
        cases: [
          { when: 'body.qty > 100', flow: 'huge' },
          { when: 'body.qty > 10', flow: 'large' },
        ],
      },
      flows: {
        huge: [{ set: { body: { size: 'huge' } } }],
        large: [{ set: { body: { size: 'large' } } }],
      },
      given: { body: { qty: 500 } },
      becomes: [{ body: { qty: 500, size: 'huge' } }],
    },
    {
      why: 'no case holds: it goes on as it is, or through otherwise',
      config: { cases: [{ when: 'body.qty > 100', flow: 'huge' }], otherwise: 'small' },
      flows: { huge: [{ set: { body: { size: 'huge' } } }], small: [{ set: { body: { size: 'small' } } }] },
      given: { body: { qty: 1 } },
      becomes: [{ body: { qty: 1, size: 'small' } }],
    },
    {
      why: 'a flow that filters the message ends its way',
      config: { cases: [{ when: 'body.draft', flow: 'none' }] },
      flows: { none: [{ filter: { when: 'false' } }] },
      given: { body: { draft: true } },
      becomes: [],
    },
    {
      why: 'a case that cannot be decided',
      config: { cases: [{ when: 'body.qty > 100', flow: 'huge' }] },
      flows: { huge: [{ set: { body: { size: 'huge' } } }] },
      given: { body: { qty: 'many' } },
      rejects: 'ExpressionFailed',
    },
    { why: 'no case at all', config: { cases: [] }, refused: 'cases' },
  ],
});
