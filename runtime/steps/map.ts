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
          ...message,
          attrs: { ...message.attrs, datacontenttype: 'application/json' },
          headers: headersOf(message, variables),
          body: Body.fromValue(value),
        };
      },
    };
  },
  examples: () => [
    {
      why: 'a new body, some of it computed',
      config: {
        body: {
          id: '=body.orderId',
          kind: 'order',
          lines: "=body.lines.map(l, {'sku': l.sku, 'sum': l.qty * l.price})",
        },
      },
      given: { body: { orderId: 7, lines: [{ sku: 'x', qty: 2, price: 1.5 }] } },
      becomes: [{ body: { id: 7, kind: 'order', lines: [{ sku: 'x', sum: 3 }] } }],
    },
    {
      why: 'an absent optional leaves its field out; == is a text that starts with =',
      config: { body: { note: '=body.?note', formula: '==A1' } },
      given: { body: {} },
      becomes: [{ body: { formula: '=A1' } }],
    },
    {
      why: 'headers, from the event and the body',
      config: { body: '=body', headers: { 'x-event': '=attrs.type', 'x-no': '=body.no' } },
      given: { attrs: { type: 'order' }, body: { no: 7 } },
      becomes: [{ headers: { 'x-event': 'order', 'x-no': '7' }, body: { no: 7 } }],
    },
    {
      why: 'nothing is made of what is not there',
      config: { body: '=body.?order' },
      given: { body: {} },
      rejects: 'NothingMapped',
    },
    { why: 'what is no expression', config: { body: { id: '=body.' } }, refused: 'not a CEL expression' },
  ],
});
