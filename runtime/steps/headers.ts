import { z } from 'zod';
import type { ExpressionScope } from '../connector.ts';
import { reject } from '../errors.ts';
import { compileTree, exprTree } from '../expr/tree.ts';
import type { Message } from '../message.ts';

/* Headers that a step sets, the same for every step that does. */
const nameForm = /^[a-z0-9!#$%&'*+.^_`|~-]{1,128}$/;
const headerName = z.string().min(1).max(128).regex(nameForm, 'header names are lower case');

export const headersField = z
  .record(headerName, exprTree('Header value; text that starts with = is CEL.'))
  .meta({ description: 'Headers to set; an absent optional removes one.', maxProperties: 64 });

/** `step` names the field in errors. */
export const compileHeaders = (step: string, config: Readonly<Record<string, unknown>>) => {
  const trees = Object.entries(config).map(([name, tree]) => [name, compileTree(tree)] as const);
  return (message: Message, scope: ExpressionScope): Message['headers'] => {
    if (trees.length === 0) return message.headers;
    const headers = { ...message.headers };
    for (const [name, tree] of trees) {
      const value = tree.evaluate(scope);
      if (value === undefined) delete headers[name];
      else headers[name] = textOf(`${step}.headers.${name}`, value);
    }
    return headers;
  };
};

/** Headers whose names are not known before: those that have no value are left out. */
export const headersFrom = (step: string, values: Readonly<Record<string, unknown>>): Message['headers'] =>
  Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => {
      if (value === null) return [];
      if (!nameForm.test(name)) throw reject('HeaderNotText', `${step}: ${name} is no name of a header (lower case)`);
      return [[name, textOf(`${step}.headers.${name}`, value)]];
    }),
  );

const textOf = (field: string, value: unknown): string => {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw reject('HeaderNotText', `${field} must be text, a number or a boolean`);
};
