import type { Attempt, ExpressionScope } from '../connector.ts';
import { reject } from '../errors.ts';
import { compileTree, exprText } from '../expr/tree.ts';
import type { Message } from '../message.ts';

/* The CloudEvents type by which events go on the bus, the same for everything that publishes. */
export const longestType = 253;
/** Neither blanks nor what looks like a wildcard, which it would not be. */
export const typeForm = /^[^ \t\n\r\f*>]+$/;

export const typeField = exprText(
  'CloudEvents type of the event; = is CEL.',
  /^(=[\s\S]+|[^= \t\n\r\f*>][^ \t\n\r\f*>]*)$/,
  4096,
  'Without it the message keeps its own type. Its other attributes stay in any case, id and source too.',
).optional();

/** `field` names it in errors: `bus.type`. Gives the message itself when its type is right already; throws `reject('InvalidType')`. */
export const compileTyped = (
  field: string,
  configured: string | undefined,
  scope: (message: Message, attempt: Attempt) => ExpressionScope,
): ((message: Message, attempt: Attempt) => Message) => {
  const tree = configured === undefined ? undefined : compileTree(configured);
  return (message, attempt) => {
    const type = typeOf(field, tree ? tree.evaluate(scope(message, attempt)) : message.attrs.type);
    return type === message.attrs.type ? message : { ...message, attrs: { ...message.attrs, type } };
  };
};

const typeOf = (field: string, value: unknown): string => {
  if (typeof value === 'string' && value.length <= longestType && typeForm.test(value) && value.isWellFormed()) {
    return value;
  }
  const found = typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : value === null ? 'null' : typeof value;
  throw reject(
    'InvalidType',
    `an event's type is text of 1 to ${longestType} characters without blanks, * and >; ${field} gave ${found}`,
  );
};
