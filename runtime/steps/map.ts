import { z } from 'zod';
import { defineStep } from '../connector.ts';
import { reject } from '../errors.ts';
import { compileTree, exprTree } from '../expr/tree.ts';
import { Body } from '../message.ts';
import { compileHeaders, headersField } from './headers.ts';

const config = z.strictObject({
  body: exprTree('New body; text that starts with = is CEL.'),
  headers: headersField.optional(),
});

/** Message translator: the new body is JSON whatever the old one was. */
export const mapStep = defineStep<z.infer<typeof config>>({
  name: 'map',
  summary: 'Makes a new body from the message.',
  config,
  state: 'none',
  open({ body, headers = {} }, { scope }) {
    const bodyTree = compileTree(body);
    const headersOf = compileHeaders('map', headers);
    return {
      run(message, attempt) {
        const variables = scope(message, attempt);
        const value = bodyTree.evaluate(variables);
        if (value === undefined) throw reject('NothingMapped', 'map.body is an absent optional; give it orValue(...)');
        return {
          attrs: { ...message.attrs, datacontenttype: 'application/json' },
          headers: headersOf(message, variables),
          body: Body.fromValue(value),
        };
      },
    };
  },
});
