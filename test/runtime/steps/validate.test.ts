import { describe, expect, it } from 'vitest';
import type { JsonValue } from '../../../runtime/message.ts';
import { validateStep } from '../../../runtime/steps/validate.ts';
import { messageOf, openStep } from './harness.ts';

const order = {
  type: 'object',
  required: ['id', 'lines'],
  additionalProperties: false,
  properties: {
    id: { type: 'string', pattern: '^[A-Z]{2}-\\d+$' },
    country: { enum: ['FI', 'SE'] },
    lines: { type: 'array', minItems: 1, items: { $ref: '#/$defs/line' } },
  },
  $defs: {
    line: { type: 'object', properties: { qty: { type: 'integer', minimum: 1 }, price: { multipleOf: 0.01 } } },
  },
};
const good = { id: 'FI-7', country: 'FI', lines: [{ qty: 1, price: 19.99 }] };
const validate = async (schema: unknown, body: JsonValue | Uint8Array) => {
  const run = await openStep(validateStep, { schema });
  return run(messageOf(body));
};
const refused = async (schema: unknown, body: JsonValue | Uint8Array): Promise<{ code: string; message: string }> =>
  validate(schema, body).then(
    () => expect.fail('the body was let pass'),
    (error: unknown) => error as { code: string; message: string },
  );

describe('validate', () => {
  it('lets a body that fits pass as it is, byte for byte', async () => {
    const bytes = Buffer.from(JSON.stringify(good, undefined, 3));
    const message = messageOf(bytes);
    expect(await (await openStep(validateStep, { schema: order }))(message)).toBe(message);
    expect(message.body.bytes()).toBe(bytes);
  });

  it.each<[unknown, string, string]>([
    [{ ...good, lines: undefined }, 'body has no field "lines"', 'a field is missing'],
    [{ ...good, lines: [] }, 'body.lines must NOT have fewer than 1 items', 'too few'],
    [{ ...good, lines: [{ qty: 1 }, { qty: 0 }] }, 'body.lines[1].qty must be >= 1', 'the place in a list, by $ref'],
    [{ ...good, country: 'DE' }, 'body.country must be one of: "FI","SE"', 'what would be right'],
    [{ ...good, 'my note': 1 }, 'body has a field "my note", which is not allowed', 'one field too many'],
    [{ ...good, id: 'x' }, 'body.id must match pattern "^[A-Z]{2}-\\d+$"', 'a pattern'],
    [[], 'body must be object', 'the body itself'],
    [
      { ...good, lines: [{ qty: 1, price: 19.999 }] },
      'body.lines[0].price must be multiple of 0.01',
      'fractions of cents',
    ],
  ])('%j: %s (%s)', async (body, text) => {
    expect(await refused(order, body as JsonValue)).toMatchObject({
      instruction: 'reject',
      code: 'SchemaMismatch',
      message: text,
    });
  });

  it('rejects what is no JSON', async () => {
    expect(await refused(order, Buffer.from('{"id":'))).toMatchObject({ code: 'BodyNotJson' });
  });

  it('tells no values of the body, and says little however much is wrong', async () => {
    const secret = 'hunter2';
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`p${index}`, { type: 'integer' }]));
    const wrong = Object.fromEntries(Object.keys(many).map((key) => [key, secret]));
    const anyOf = { anyOf: Object.entries(many).map(([key, value]) => ({ properties: { [key]: value } })) };
    for (const schema of [{ properties: many }, anyOf, { propertyNames: { maxLength: 1 } }, { const: { a: 1 } }]) {
      const { message } = await refused(schema, { ...wrong, ['k'.repeat(5_000)]: secret });
      expect(message).not.toContain(secret);
      expect(message.length).toBeLessThan(700);
    }
  });

  it.each<[string, unknown, JsonValue, boolean]>([
    ['inherited names are no fields', { required: ['constructor'] }, {}, false],
    ['own fields of such names are', { required: ['constructor'] }, { constructor: 1 }, true],
    [
      'equal items differ in the order of their fields',
      { uniqueItems: true },
      [
        { a: 1, b: 2 },
        { b: 2, a: 1 },
      ],
      false,
    ],
    ['text and number are different items', { uniqueItems: true }, ['1', 1, [1], { 1: 1 }], true],
    ['uniqueItems false asks nothing', { uniqueItems: false }, [1, 1], true],
    ['a format says what it means, no more', { format: 'email' }, 'nobody', true],
    [
      'an own address of the schema says nothing',
      { $id: 'https://json-schema.org/draft/2020-12/schema', type: 'null' },
      1,
      false,
    ],
    ['annotations of others', { 'x-note': 1, type: 'integer' }, 1, true],
    ['unevaluated fields', { allOf: [{ properties: { a: true } }], unevaluatedProperties: false }, { b: 1 }, false],
    ['conditions', { if: { required: ['a'] }, else: { required: ['b'] } }, { c: 1 }, false],
    ['data that looks like a reference', { const: { $ref: '#' } }, { $ref: '#' }, true],
    ['a field of that name', { properties: { $ref: { type: 'null' } } }, { $ref: 1 }, false],
    ['a tree', { properties: { next: { $ref: '#' } }, required: ['id'] }, { id: 1, next: { next: { id: 1 } } }, false],
  ])('%s', async (_, schema, body, fits) => {
    if (fits) await validate(schema, body);
    else expect(await refused(schema, body)).toMatchObject({ code: 'SchemaMismatch' });
  });

  it('rejects a body nested too deeply for a schema that follows it', async () => {
    const deep = Buffer.from(`${'['.repeat(200_000)}${']'.repeat(200_000)}`);
    expect(await refused({ items: { $ref: '#' } }, deep)).toMatchObject({ instruction: 'reject', code: 'BodyTooDeep' });
  });

  it('ends with a schema that doubles its work with every level of a body', async () => {
    const twice = { allOf: [{ properties: { a: { $ref: '#' } } }, { properties: { a: { $ref: '#' } } }] };
    const nested = (levels: number): JsonValue => (levels === 0 ? 1 : { a: nested(levels - 1) });
    await validate(twice, nested(10));
    expect(await refused(twice, nested(60))).toMatchObject({ instruction: 'reject', code: 'SchemaTooSlow' });
    // Each body has its own count.
    for (let body = 0; body < 5; body += 1) await validate(twice, nested(14));
  });

  it.each<[string, unknown, JsonValue]>([
    ['nested repetition', { pattern: '^(a+)+$' }, `${'a'.repeat(50_000)}!`],
    ['alternatives that overlap', { pattern: '^(a|aa)+$' }, `${'a'.repeat(50_000)}!`],
    ['names', { patternProperties: { '(x+x+)+y': true }, additionalProperties: false }, { ['x'.repeat(50_000)]: 1 }],
    [
      'items that are all different',
      { uniqueItems: true, maxItems: 1 },
      Array.from({ length: 50_000 }, (_, i) => ({ i })),
    ],
  ])('is done at once with what takes others minutes: %s', async (_, schema, body) => {
    expect(await refused(schema, body)).toMatchObject({ code: 'SchemaMismatch' });
  });

  it.each<[unknown, string]>([
    [{}, 'no schema'],
    [{ schema: 'object' }, 'a schema that is a text'],
    [{ schema: true }, 'a schema that lets everything pass'],
    [{ schema: {}, strict: true }, 'an unknown field'],
  ])('configuration %j is refused (%s)', (config) => {
    expect(validateStep.config.safeParse(config).success).toBe(false);
  });
});
