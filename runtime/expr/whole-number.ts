import type { ExpressionScope } from '../connector.ts';
import { reject } from '../errors.ts';
import { parseExpression } from './cel.ts';

/** A number without a fraction, or its text. `what` names the field in errors. Throws `reject('NotANumber')`. */
export const compileWholeNumber = (what: string, source: string): ((scope: ExpressionScope) => number) => {
  const parsed = parseExpression(source);
  if (!parsed.ok) throw new Error(`${what}: ${parsed.message}`);
  return (scope) => {
    const value = parsed.expression.evaluate(scope);
    const isNumber = typeof value === 'number' || typeof value === 'bigint';
    const number = isNumber || (typeof value === 'string' && /^-?\d+$/.test(value)) ? Number(value) : Number.NaN;
    if (Number.isSafeInteger(number)) return number;
    throw reject('NotANumber', `${what} must give a whole number of at most 15 digits`);
  };
};
