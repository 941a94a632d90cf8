import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { schemaProblems } from '../../../runtime/expr/json-schema.ts';
import { compileSchema } from '../../../runtime/expr/json-validator.ts';

const doubling = (levels: number) => ({
  $ref: '#/$defs/d0',
  $defs: Object.fromEntries(
    Array.from({ length: levels }, (_, level) => [
      `d${level}`,
      level === levels - 1 ? {} : { allOf: [{ $ref: `#/$defs/d${level + 1}` }, { $ref: `#/$defs/d${level + 1}` }] },
    ]),
  ),
});
const nested = (levels: number): unknown => (levels === 0 ? {} : { items: nested(levels - 1) });

describe('schemaProblems', () => {
  it.each<[string, unknown]>([
    ['nothing at all', {}],
    ['the dialect by name', { $schema: 'https://json-schema.org/draft/2020-12/schema#' }],
    ['a definition', { $ref: '#/$defs/a', $defs: { a: { type: 'string' } } }],
    ['a name with signs', { $ref: '#/$defs/a~1b%20c', $defs: { 'a/b c': true } }],
    ['an anchor', { $ref: '#it', $defs: { a: { $anchor: 'it' } } }],
    ['any schema of it', { $ref: '#/properties/a', properties: { a: { type: 'null' } } }],
    ['a tree: the next value is another one', { properties: { left: { $ref: '#' }, right: { $ref: '#' } } }],
    ['keywords as names of fields', { properties: { type: {}, $ref: {}, properties: { properties: { enum: true } } } }],
    ['data that looks like a schema', { const: { type: 7 }, enum: [{ pattern: '(' }], default: { $ref: 'http://x' } }],
    ['some doubling', doubling(8)],
  ])('takes %s', (_, schema) => {
    expect(schemaProblems(schema)).toEqual([]);
    expect(compileSchema(schema as Record<string, unknown>)).toBeTypeOf('function');
  });

  it.each<[string, unknown, string, RegExp]>([
    ['a typing mistake would check nothing', { requird: ['a'] }, 'requird', /no keyword.*required/],
    ['deep inside too', { properties: { a: { items: { typ: 'x' } } } }, 'properties.a.items.typ', /no keyword/],
    ['an older dialect', { $schema: 'http://json-schema.org/draft-07/schema#' }, '$schema', /2020-12/],
    ['an unknown type', { type: 'int' }, 'type', /integer/],
    ['no type at all', { type: [] }, 'type', /one or several/],
    ['a list of schemas as of old', { items: [{}] }, 'items', /must be a schema/],
    ['a number as text', { minimum: '1' }, 'minimum', /a number/],
    ['below zero', { minLength: -1 }, 'minLength', /whole number/],
    ['a name for a list of names', { required: 'a' }, 'required', /list of different strings/],
    ['required as of old', { properties: { a: { required: true } } }, 'properties.a.required', /list/],
    ['an empty choice', { anyOf: [] }, 'anyOf', /at least one/],
    ['no values', { enum: [] }, 'enum', /at least one/],
    ['a broken regular expression', { pattern: '(' }, 'pattern', /regular expression/],
    ['one that looks ahead', { pattern: '(?=a)' }, 'pattern', /look-around/],
    ['a name that is one', { patternProperties: { '[': {} } }, 'patternProperties.[', /regular expression/],
    ['a huge one', { pattern: 'a'.repeat(2_000) }, 'pattern', /at most 1000/],
    ['fetching', { $ref: 'https://example.com/schema' }, '$ref', /nothing is fetched/],
    ['a file', { $ref: 'other.json#/a' }, '$ref', /nothing is fetched/],
    ['a definition that is not there', { $ref: '#/$defs/none' }, '$ref', /no schema in this schema/],
    ['a value that is no schema', { $ref: '#/const', const: {} }, '$ref', /no schema in this schema/],
    ['an inner address', { $defs: { a: { $id: 'https://x.example' } } }, '$defs.a.$id', /root/],
    ['one anchor twice', { $defs: { a: { $anchor: 'n' }, b: { $anchor: 'n' } } }, '$defs.b.$anchor', /already/],
    ['itself', { $ref: '#' }, '', /without end/],
    ['a circle', { $defs: { a: { not: { $ref: '#/$defs/b' } }, b: { $ref: '#/$defs/a' } } }, '$defs.a', /without end/],
    ['2^16 looks at one value', doubling(16), '$defs.d7', /more than 1000 times/],
    ['depth', nested(70), Array.from({ length: 65 }, () => 'items').join('.'), /levels deep/],
    ['size', { description: 'x'.repeat(70_000) }, '', /at most 64 KiB/],
    ['a field that cannot be one', { properties: JSON.parse('{"__proto__":{}}') }, 'properties.__proto__', /this name/],
  ])('refuses %s', (_, schema, path, message) => {
    const [first] = schemaProblems(schema);
    expect(first?.path.join('.')).toBe(path);
    expect(first?.message).toMatch(message);
  });

  it('says at most ten things', () => {
    expect(schemaProblems(Object.fromEntries(Array.from({ length: 99 }, (_, at) => [`k${at}`, 1])))).toHaveLength(10);
  });

  it('lets nothing pass that cannot be compiled, and never throws', () => {
    const value = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom('#', '#/$defs/a', 'string', 'a+', 1, true));
    const names = fc.constantFrom('a', 'b', '%', '~', '/', 'constructor', 'type', '$ref', ' ');
    const { schema } = fc.letrec<{ schema: unknown }>((tie) => ({
      schema: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.boolean(),
        fc.dictionary(
          fc.constantFrom('type', 'enum', 'const', 'pattern', 'minimum', 'required', '$anchor', '$id', 'multipleOf'),
          value,
          { maxKeys: 2 },
        ),
        fc.record(
          {
            $ref: fc.constantFrom('#', '#/$defs/a', '#/$defs/%25', '#/$defs/~0', '#/properties/b'),
            properties: fc.dictionary(names, tie('schema'), { maxKeys: 3 }),
            $defs: fc.dictionary(names, tie('schema'), { maxKeys: 3 }),
            anyOf: fc.array(tie('schema'), { minLength: 1, maxLength: 2 }),
            items: tie('schema'),
            if: tie('schema'),
            else: tie('schema'),
            unevaluatedProperties: tie('schema'),
            dependentSchemas: fc.dictionary(names, tie('schema'), { maxKeys: 2 }),
          },
          { requiredKeys: [] },
        ),
      ),
    }));
    let compiled = 0;
    const property = fc.property(schema, fc.jsonValue({ maxDepth: 3 }), (candidate, body) => {
      if (schemaProblems(candidate).length > 0 || typeof candidate !== 'object') return;
      compileSchema(candidate as Record<string, unknown>)(body as never);
      compiled += 1;
    });
    fc.assert(property, { numRuns: 500 });
    expect(compiled).toBeGreaterThan(50);
  });
});
