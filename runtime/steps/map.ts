import { z } from 'zod';
import { defineStep, type ExpressionScope } from '../connector.ts';
import { reject } from '../errors.ts';
import { compileTree, exprTree, type Tree } from '../expr/tree.ts';
import { Body, type Message } from '../message.ts';

const headerName = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[a-z0-9!#$%&'*+.^_`|~-]+$/, 'header names are lower case');

const config = z.strictObject({
  body: exprTree('New body; text that starts with = is CEL.'),
  headers: z
    .record(headerName, exprTree('Header value; text that starts with = is CEL.'))
    .meta({ description: 'Headers to set; an absent optional removes one.', maxProperties: 64 })
    .optional(),
});

/** Message translator: the new body is JSON whatever the old one was. */
export const mapStep = defineStep<z.infer<typeof config>>({
  name: 'map',
  summary: 'Makes a new body from the message.',
  config,
  state: 'none',
  open({ body, headers = {} }, { scope }) {
    const bodyTree = compileTree(body);
    const headerTrees = Object.entries(headers).map(([name, tree]) => [name, compileTree(tree)] as const);
    return {
      run(message, attempt) {
        const variables = scope(message, attempt);
        const value = bodyTree.evaluate(variables);
        if (value === undefined) throw reject('NothingMapped', 'map.body is an absent optional; give it orValue(...)');
        return {
          attrs: { ...message.attrs, datacontenttype: 'application/json' },
          headers: headerTrees.length === 0 ? message.headers : withHeaders(message, headerTrees, variables),
          body: Body.fromValue(value),
        };
      },
    };
  },
});

const withHeaders = (message: Message, trees: readonly (readonly [string, Tree])[], variables: ExpressionScope) => {
  const headers = { ...message.headers };
  for (const [name, tree] of trees) {
    const value = tree.evaluate(variables);
    if (value === undefined) delete headers[name];
    else headers[name] = headerText(name, value);
  }
  return headers;
};

const headerText = (name: string, value: unknown): string => {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw reject('HeaderNotText', `map.headers.${name} must be text, a number or a boolean`);
};
