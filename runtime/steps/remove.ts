import type { z } from 'zod';
import { defineStep } from '../connector.ts';
import { Body, type JsonValue } from '../message.ts';
import { listOf, pattern, shape } from '../schema.ts';

const config = shape(
  'Removes fields and headers.',
  {
    fields: listOf(
      'Places in the body, such as customer.email.',
      pattern('A place: names with dots between.', /^([^.\\]|\\.)+(\.([^.\\]|\\.)+)*$/s, 512, {
        doc: 'The name * stands for every field of an object and every item of a list; \\ before a dot, a star or itself makes it part of a name.',
      }),
      1,
      64,
    ).optional(),
    headers: listOf(
      'Names of headers, in lower case.',
      pattern('Name of a header.', /^[a-z0-9!#$%&'*+.^_`|~-]+$/, 128),
      1,
      64,
    ).optional(),
  },
  {
    doc: 'What is not there needs no removing: a message that has none of it goes on as it is, byte for byte.',
  },
);

/** Content filter: what is left keeps its order. */
export const removeStep = defineStep<z.infer<typeof config>>({
  name: 'remove',
  summary: 'Removes fields of the body and headers.',
  config,
  state: 'none',
  open({ fields = [], headers = [] }) {
    const places = fields.map(namesOf);
    return {
      run(message) {
        const kept = headers.some((name) => Object.hasOwn(message.headers, name))
          ? { ...message, headers: withoutAny(message.headers, headers) }
          : message;
        if (places.length === 0) return kept;
        const before = message.body.value();
        const after = places.reduce((value, names) => without(value, names, 0), before);
        return after === before ? kept : { ...kept, body: Body.fromValue(after) };
      },
    };
  },
  examples: () => [
    {
      why: 'what others need not know',
      config: { fields: ['customer.email', 'lines.*.cost'], headers: ['x-api-key'] },
      given: {
        headers: { 'x-api-key': 'k', 'x-shop': 'a' },
        body: { no: 7, customer: { name: 'A', email: 'a@b.fi' }, lines: [{ sku: 'x', cost: 1 }, { sku: 'y' }] },
      },
      becomes: [
        {
          headers: { 'x-shop': 'a' },
          body: { no: 7, customer: { name: 'A' }, lines: [{ sku: 'x' }, { sku: 'y' }] },
        },
      ],
    },
    {
      why: 'a name with a dot in it, beside the field that it is not',
      config: { fields: ['a\\.b'] },
      given: { body: { 'a.b': 1, a: { b: 2 } } },
      becomes: [{ body: { a: { b: 2 } } }],
    },
    {
      why: 'nothing to remove: the very bytes go on',
      config: { fields: ['a.b.c'] },
      given: { text: '{ "a" : [1.0] }' },
      becomes: [{ text: '{ "a" : [1.0] }' }],
    },
    {
      why: 'a body that is no JSON has no fields that could be removed',
      config: { fields: ['secret'] },
      given: { text: 'secret=1' },
      rejects: 'BodyNotJson',
    },
    { why: 'a place has a name on each side of a dot', config: { fields: ['customer.'] }, refused: 'fields' },
  ],
});

const any = Symbol('every field or item');
type Name = string | typeof any;

const namesOf = (place: string): readonly Name[] =>
  [...place.matchAll(/((?:[^.\\]|\\.)+)/gs)].map(([name]) => (name === '*' ? any : name.replaceAll(/\\(.)/gs, '$1')));

/** The same value when there was nothing to remove; else a copy of what lies on the way. */
const without = (value: JsonValue, names: readonly Name[], at: number): JsonValue => {
  if (typeof value !== 'object' || value === null) return value;
  const name = names[at] as Name;
  const isLast = at === names.length - 1;
  if (Array.isArray(value)) {
    if (name !== any) return value;
    if (isLast) return value.length === 0 ? value : [];
    const items = value.map((item: JsonValue) => without(item, names, at + 1));
    return items.some((item, index) => item !== value[index]) ? items : value;
  }
  const record = value as { readonly [key: string]: JsonValue };
  const keys = name === any ? Object.keys(record) : Object.hasOwn(record, name) ? [name] : [];
  if (isLast) return keys.length === 0 ? record : withoutAny(record, keys);
  const changed = new Map<string, JsonValue>();
  for (const key of keys) {
    const below = record[key] as JsonValue;
    const left = without(below, names, at + 1);
    if (left !== below) changed.set(key, left);
  }
  if (changed.size === 0) return record;
  return Object.fromEntries(Object.entries(record).map(([key, item]) => [key, changed.get(key) ?? item]));
};

const withoutAny = <T>(record: Readonly<Record<string, T>>, names: readonly string[]): Record<string, T> => {
  const gone = new Set(names);
  return Object.fromEntries(Object.entries(record).filter(([key]) => !gone.has(key)));
};
