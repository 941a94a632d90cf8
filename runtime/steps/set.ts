import { z } from 'zod';
import { defineStep, type ExpressionScope } from '../connector.ts';
import { reject } from '../errors.ts';
import { compileTree, exprRecord, type Tree } from '../expr/tree.ts';
import { Body, type JsonValue } from '../message.ts';
import { compileHeaders, headersField } from './headers.ts';

const config = z.strictObject({
  body: exprRecord(
    'Fields to set in the body; = at the start is CEL.',
    'Merged into the body: an object sets fields within the one that is there, everything else replaces what is there, an absent optional removes it. All values are computed from the message as it came.',
  ).optional(),
  headers: headersField.optional(),
});

/** Content enricher without a source of its own: what is not named stays as it is. */
export const setStep = defineStep<z.infer<typeof config>>({
  name: 'set',
  summary: 'Sets fields of the body, keeps the others.',
  config,
  state: 'none',
  open({ body, headers = {} }, { scope }) {
    const change = body === undefined ? undefined : changeOf(body);
    const headersOf = compileHeaders('set', headers);
    return {
      run(message, attempt) {
        const variables = scope(message, attempt);
        const changed = { ...message, headers: headersOf(message, variables) };
        if (change === undefined) return changed;
        const value = message.body.value();
        if (!isRecord(value)) {
          throw reject(
            'BodyNotAnObject',
            `set.body needs a body that is an object, this one is ${kindOf(value)}; use map`,
          );
        }
        return {
          ...changed,
          attrs: { ...message.attrs, datacontenttype: 'application/json' },
          body: Body.fromValue(applied(change, value, variables) as JsonValue),
        };
      },
    };
  },
  examples: () => [
    {
      why: 'fields are added and replaced, the others stay',
      config: { body: { seen: true, customer: { name: '=body.customer.name.trim()' } } },
      given: { body: { no: 7, customer: { name: ' Ada ', city: 'Turku' } } },
      becomes: [{ body: { no: 7, customer: { name: 'Ada', city: 'Turku' }, seen: true } }],
    },
    {
      why: 'an absent optional removes its field',
      config: { body: { note: '=body.?remark' } },
      given: { body: { no: 7, note: 'old' } },
      becomes: [{ body: { no: 7 } }],
    },
    {
      why: 'a header alone: the body is not read',
      config: { headers: { 'x-shop': '=attrs.source' } },
      given: { attrs: { source: '/shop' }, text: 'no=7' },
      becomes: [{ headers: { 'x-shop': '/shop' }, text: 'no=7' }],
    },
    { why: 'a body without fields', config: { body: { a: 1 } }, given: { body: [1] }, rejects: 'BodyNotAnObject' },
    { why: 'a header name with capitals', config: { headers: { 'X-Shop': 'a' } }, refused: 'headers.X-Shop' },
  ],
});

type JsonRecord = { readonly [key: string]: JsonValue };
/** Fields of an object that are set, or a value that takes the place of what is there. */
type Change = { readonly fields: readonly (readonly [string, Change])[] } | { readonly tree: Tree };

const changeOf = (value: unknown): Change =>
  isRecord(value)
    ? { fields: Object.entries(value).map(([key, item]) => [key, changeOf(item)] as const) }
    : { tree: compileTree(value) };

// Spread and fromEntries make own properties of every key, `__proto__` too.
const applied = (change: Change, old: JsonValue | undefined, scope: ExpressionScope): JsonValue | undefined => {
  if ('tree' in change) return change.tree.evaluate(scope);
  const before: JsonRecord = isRecord(old) ? old : {};
  const values = change.fields.map(([key, below]) => {
    return [key, applied(below, Object.hasOwn(before, key) ? before[key] : undefined, scope)] as const;
  });
  const after = { ...before, ...Object.fromEntries(values) };
  for (const [key, value] of values) if (value === undefined) delete after[key];
  return after as JsonRecord;
};

const isRecord = (value: unknown): value is JsonRecord =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const kindOf = (value: JsonValue): string => (Array.isArray(value) ? 'a list' : value === null ? 'null' : typeof value);
