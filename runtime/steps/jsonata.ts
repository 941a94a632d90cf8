import type { z } from 'zod';
import { defineStep } from '../connector.ts';
import { reject } from '../errors.ts';
import { jsonata } from '../expr/fields.ts';
import { Body, type JsonValue } from '../message.ts';
import { shape } from '../schema.ts';
import { threadLimits } from './thread-limits.ts';
import { variableName, withVariable } from './variables.ts';

const config = shape(
  'Makes a new body, or a variable, by a JSONata expression.',
  {
    expression: jsonata('JSONata expression of the new body.'),
    as: variableName('The result is vars.<name>, and the body stays as it is.').optional(),
  },
  {
    doc: `Its input has the fields body, headers, attrs, vars and meta, as expressions have. JSONata makes one value of a list with one item, and nothing of an empty one: write [...] around what has to be a list. An expression that gives nothing fails the message (NothingMapped). Regular expressions run without backtracking: look-around and back-references cannot be used, and a message has time for some thousands of matches. ${threadLimits} Where speed matters, use map: CEL takes a hundredth of the time.`,
  },
);

/** Message translator for what is too much for CEL. */
export const jsonataStep = defineStep<z.infer<typeof config>>({
  name: 'jsonata',
  summary: 'Makes a new body, or a variable, by a JSONata expression.',
  config,
  state: 'none',
  async open({ expression, as }, context) {
    const { openInThread } = await import('./in-thread.ts');
    const { compiledEngine } = await import('../expr/threads/engine.ts');
    const data = { engine: await compiledEngine(), expression };
    const thread = openInThread('jsonata', { language: 'jsonata', data, code: 'JsonataFailed' }, context);
    return {
      async run(message, attempt) {
        const made = await thread.run(message, attempt);
        if (made === '') throw reject('NothingMapped', 'jsonata.expression gives nothing for this message');
        if (as !== undefined) return withVariable(message, as, JSON.parse(made) as JsonValue);
        return {
          ...message,
          attrs: { ...message.attrs, datacontenttype: 'application/json' },
          body: Body.fromBytes(Buffer.from(made)),
        };
      },
      close: () => thread.close(),
    };
  },
  examples: () => [
    {
      why: 'lines of an order by their kind, with sums',
      config: {
        expression:
          '{\n  "no": body.no,\n  "kinds": body.lines{kind: $sum($.(qty * price))},\n  "dear": [body.lines[price > 10].sku]\n}',
      },
      given: {
        body: {
          no: 7,
          lines: [
            { sku: 'x', kind: 'book', qty: 2, price: 10.5 },
            { sku: 'y', kind: 'pen', qty: 3, price: 1 },
            { sku: 'z', kind: 'book', qty: 1, price: 4 },
          ],
        },
      },
      becomes: [{ body: { no: 7, kinds: { book: 25, pen: 3 }, dear: ['x'] } }],
    },
    {
      why: 'a variable: the body stays as it came, byte for byte',
      config: { expression: '$join(body.tags, ", ")', as: 'tags' },
      given: { text: '{ "tags": ["a", "b"] }' },
      becomes: [{ text: '{ "tags": ["a", "b"] }', vars: { tags: 'a, b' } }],
    },
    {
      why: 'headers and attributes of the message',
      config: { expression: '{"from": attrs.source, "shop": headers."x-shop", "all": body}' },
      given: { attrs: { source: '/shop' }, headers: { 'x-shop': 'Turku' }, body: [1] },
      becomes: [{ headers: { 'x-shop': 'Turku' }, body: { from: '/shop', shop: 'Turku', all: [1] } }],
    },
    {
      why: 'nothing is made of what is not there',
      config: { expression: 'body.order' },
      given: { body: {} },
      rejects: 'NothingMapped',
    },
    {
      why: 'a number that is none',
      config: { expression: '$number(body.no)' },
      given: { body: { no: 'seven' } },
      rejects: 'JsonataFailed',
    },
    {
      why: 'an expression that does not end',
      config: { expression: '($f := function($n) { $f($n + 1) }; $f(0))' },
      given: { body: {} },
      rejects: 'TooSlow',
    },
    { why: 'no JSON', config: { expression: 'body' }, given: { text: 'no=7' }, rejects: 'BodyNotJson' },
    { why: 'no expression', config: { expression: '' }, refused: 'expression' },
  ],
});
