import { z } from 'zod';
import { defineStep } from '../connector.ts';
import { reject } from '../errors.ts';
import { parseExpression } from '../expr/cel.ts';
import { cel } from '../expr/fields.ts';

const config = z.strictObject({ when: cel('Only messages for which it holds go on.') });

/** Message filter: what does not pass is done, not failed. */
export const filterStep = defineStep<z.infer<typeof config>>({
  name: 'filter',
  summary: 'Keeps messages for which an expression holds.',
  config,
  state: 'none',
  open({ when }, { scope }) {
    const parsed = parseExpression(when);
    if (!parsed.ok) throw new Error(`filter.when: ${parsed.message}`);
    return {
      run(message, attempt) {
        const holds = parsed.expression.evaluate(scope(message, attempt));
        if (typeof holds === 'boolean') return holds ? message : undefined;
        throw reject('NotABoolean', `filter.when must be true or false, not ${holds === null ? 'null' : typeof holds}`);
      },
    };
  },
});
