import { reject } from '../errors.ts';
import type { Message } from '../message.ts';
import { parseExpression } from './cel.ts';
import { scopeOf } from './scope.ts';

const what = 'delivery.key';
const longestKey = 256;

/** The key by which the order of messages is kept, as text; throws `reject('KeyMissing')` for a message that has none. */
export const compileKey = (source: string, meta: { tenant: string; integration: string }) => {
  const parsed = parseExpression(source);
  if (!parsed.ok) throw new Error(`${what}: ${parsed.message}`);
  return (message: Message): string => {
    const scope = scopeOf(message, { ...meta, attempt: 1 });
    const value = evaluate(() => parsed.expression.evaluate(scope));
    if (!['string', 'number', 'boolean', 'bigint'].includes(typeof value)) {
      const found = value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value;
      throw reject('KeyMissing', `${what} must give a text, a number or a boolean, not ${found}`);
    }
    const text = String(value);
    if (text.length <= longestKey) return text;
    throw reject('KeyMissing', `${what} gives a key of ${text.length} characters; at most ${longestKey} are possible`);
  };
};

const evaluate = (act: () => unknown): unknown => {
  try {
    return act();
  } catch (cause) {
    throw reject('KeyMissing', `${what} gives no key for this message: ${(cause as Error).message}`, { cause });
  }
};
