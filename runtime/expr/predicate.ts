import type { ExpressionScope } from '../connector.ts';
import { reject } from '../errors.ts';
import { parseExpression } from './cel.ts';

/** A condition that the schema has let pass. `what` names it in errors: `filter.when`. Throws `reject('NotABoolean')`. */
export const compilePredicate = (what: string, source: string): ((scope: ExpressionScope) => boolean) => {
  const parsed = parseExpression(source);
  if (!parsed.ok) throw new Error(`${what}: ${parsed.message}`);
  return (scope) => {
    const holds = parsed.expression.evaluate(scope);
    if (typeof holds === 'boolean') return holds;
    throw reject('NotABoolean', `${what} must be true or false, not ${holds === null ? 'null' : typeof holds}`);
  };
};
