import { z } from 'zod';
import { defineStep } from '../connector.ts';
import { cel } from '../expr/fields.ts';
import { compilePredicate } from '../expr/predicate.ts';

const config = z.strictObject({ when: cel('Only messages for which it holds go on.') });

/** Message filter: what does not pass is done, not failed. */
export const filterStep = defineStep<z.infer<typeof config>>({
  name: 'filter',
  summary: 'Keeps messages for which an expression holds.',
  config,
  state: 'none',
  open({ when }, { scope }) {
    const holds = compilePredicate('filter.when', when);
    return { run: (message, attempt) => (holds(scope(message, attempt)) ? message : undefined) };
  },
});
