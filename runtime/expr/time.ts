import type { ExpressionScope } from '../connector.ts';
import { reject } from '../errors.ts';
import { parseExpression } from './cel.ts';

const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i;

/** A time in ms since 1970. `what` names the field in errors: `delay.until`. Throws `reject('NotATime')`. */
export const compileTime = (what: string, source: string): ((scope: ExpressionScope) => number) => {
  const parsed = parseExpression(source);
  if (!parsed.ok) throw new Error(`${what}: ${parsed.message}`);
  return (scope) => {
    const value = parsed.expression.evaluate(scope);
    const time = typeof value === 'string' && rfc3339.test(value) ? Date.parse(value) : Number.NaN;
    if (!Number.isNaN(time)) return time;
    throw reject('NotATime', `${what} must be a time such as 2026-01-31T12:00:00Z`);
  };
};
