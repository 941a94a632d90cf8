import type { ExpressionScope } from '../connector.ts';
import { reject } from '../errors.ts';
import type { Message } from '../message.ts';
import { parseExpression } from './cel.ts';
import { scopeOf } from './scope.ts';

const longestKey = 256;

/** The key by which the order of messages is kept, as text; throws `reject('KeyMissing')` for a message that has none. */
export const compileKey = (source: string, meta: { tenant: string; integration: string }) => {
  const keyOf = compileKeyText('delivery.key', source);
  return (message: Message): string => keyOf(scopeOf(message, { ...meta, attempt: 1 }));
};

/** A key as text. `what` names the field in errors; throws `reject('KeyMissing')` for a message that has none. */
export const compileKeyText = (what: string, source: string): ((scope: ExpressionScope) => string) => {
  const parsed = parseExpression(source);
  if (!parsed.ok) throw new Error(`${what}: ${parsed.message}`);
  return (scope) => {
    const value = evaluate(what, () => parsed.expression.evaluate(scope));
    if (!['string', 'number', 'boolean', 'bigint'].includes(typeof value)) {
      const found = value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value;
      throw reject('KeyMissing', `${what} must give a text, a number or a boolean, not ${found}`);
    }
    const text = String(value);
    if (text.length <= longestKey) return text;
    throw reject('KeyMissing', `${what} gives a key of ${text.length} characters; at most ${longestKey} are possible`);
  };
};

const evaluate = (what: string, act: () => unknown): unknown => {
  try {
    return act();
  } catch (cause) {
    throw reject('KeyMissing', `${what} gives no key for this message: ${(cause as Error).message}`, { cause });
  }
};
