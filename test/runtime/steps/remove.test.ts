import { describe, expect, it } from 'vitest';
import type { JsonValue, Message } from '../../../runtime/message.ts';
import { removeStep } from '../../../runtime/steps/remove.ts';
import { stepConformance } from '../../conformance/step.ts';
import { messageOf, openStep } from './harness.ts';

stepConformance('remove', {
  definition: removeStep,
  config: { fields: ['secret', 'lines.*.cost'], headers: ['x-kept'] },
  bad: [
    ['a field that has no name', { fields: [''] }],
    ['no fields in the list', { fields: [] }],
    ['a header name with capitals', { headers: ['X-A'] }],
  ],
  passes: (index) => ({ no: index, secret: 1, lines: [{ sku: 'a', cost: 1 }] }),
});

const removed = async (fields: readonly string[], body: JsonValue | Uint8Array) =>
  (await (
    await openStep(removeStep, { fields })
  )(messageOf(body))) as Message;

describe('remove', () => {
  it.each<[string, string[], JsonValue, JsonValue]>([
    ['a field', ['a'], { a: 1, b: 2 }, { b: 2 }],
    [
      'a field within one, others keep their order',
      ['b.x'],
      { a: 1, b: { y: 1, x: 2 }, c: 3 },
      { a: 1, b: { y: 1 }, c: 3 },
    ],
    ['several, one within the other', ['a.b', 'a'], { a: { b: 1 }, c: 1 }, { c: 1 }],
    ['a field of every item', ['*.x'], [{ x: 1, y: 1 }, 7, { y: 2 }], [{ y: 1 }, 7, { y: 2 }]],
    ['every field', ['a.*'], { a: { x: 1, y: 2 } }, { a: {} }],
    ['every item', ['a.*'], { a: [1, 2] }, { a: [] }],
    ['null', ['a'], { a: null }, {}],
    ['nothing of a list by a name', ['a.length'], { a: [1] }, { a: [1] }],
    ['nothing that is inherited', ['constructor', 'a.toString'], { a: {} }, { a: {} }],
    ['a star that is a name', ['\\*'], { '*': 1, b: 2 }, { b: 2 }],
    ['a backslash that is a name', ['a\\\\'], { 'a\\': 1, b: 2 }, { b: 2 }],
    ['nothing of a body without fields', ['a'], 'text', 'text'],
  ])('removes %s', async (_, fields, body, expected) => {
    expect((await removed(fields, body)).body.value()).toEqual(expected);
  });

  it('takes __proto__ for a name like any other', async () => {
    const evil = Buffer.from('{"__proto__":{"a":1,"b":2},"c":{"__proto__":1,"d":1}}');
    const { body } = await removed(['__proto__.a', 'c.d'], evil);
    expect(JSON.stringify(body.value())).toBe('{"__proto__":{"b":2},"c":{"__proto__":1}}');
    expect(JSON.stringify((await removed(['__proto__', 'c.__proto__'], evil)).body.value())).toBe('{"c":{"d":1}}');
  });

  it('shares what it does not change, and reads no body for headers', async () => {
    const message = messageOf({ a: { b: 1 }, c: { d: 1 } });
    const made = (await (await openStep(removeStep, { fields: ['a.b'] }))(message)) as Message;
    expect((made.body.value() as { c: unknown }).c).toBe((message.body.value() as { c: unknown }).c);
    const binary = messageOf(Uint8Array.from([255]), { headers: { 'x-a': '1', 'x-b': '2' } });
    const bare = (await (await openStep(removeStep, { headers: ['x-a', 'x-none'] }))(binary)) as Message;
    expect([bare.headers, bare.body]).toEqual([{ 'x-b': '2' }, binary.body]);
  });
});
