import { hash } from 'node:crypto';
import type { ExpressionScope } from '../connector.ts';
import { reject } from '../errors.ts';
import { parseExpression } from './cel.ts';

const longestKey = 256;

/** The key by which order is kept, as text. Throws `reject('KeyMissing')` where there is none. `what` names the expression in errors. */
export const compileKey = (what: string, source: string): ((scope: ExpressionScope) => string) => {
  const parsed = parseExpression(source);
  if (!parsed.ok) throw new Error(`${what}: ${parsed.message}`);
  return (scope) => {
    const value = evaluate(what, () => parsed.expression.evaluate(scope));
    if (!['string', 'number', 'boolean', 'bigint'].includes(typeof value)) {
      const found = value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value;
      throw reject('KeyMissing', `${what} must give a text, a number or a boolean, not ${found}`);
    }
    const text = String(value);
    return text.length <= longestKey ? text : hash('sha256', text, 'base64url');
  };
};

const evaluate = (what: string, act: () => unknown): unknown => {
  try {
    return act();
  } catch (cause) {
    throw reject('KeyMissing', `${what} gives no key for this message: ${(cause as Error).message}`, { cause });
  }
};
