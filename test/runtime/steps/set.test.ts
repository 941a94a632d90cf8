import { describe, expect, it } from 'vitest';
import type { JsonValue, Message } from '../../../runtime/message.ts';
import { setStep } from '../../../runtime/steps/set.ts';
import { messageOf, openStep } from './harness.ts';

const set = async (config: unknown, message: Message): Promise<Message> =>
  (await (
    await openStep(setStep, config)
  )(message)) as Message;
const bodyAfter = async (body: unknown, old: JsonValue | Uint8Array) =>
  (await set({ body }, messageOf(old))).body.value();

describe('set', () => {
  it.each<[string, unknown, JsonValue, JsonValue]>([
    ['a new field', { total: '=body.qty * body.price' }, { qty: 2, price: 1.5 }, { qty: 2, price: 1.5, total: 3 }],
    ['a field that is there', { qty: 7 }, { qty: 2, price: 1 }, { qty: 7, price: 1 }],
    [
      'a field within one',
      { a: { b: { c: '=body.x' } } },
      { x: 1, a: { k: 2, b: { m: 3 } } },
      { x: 1, a: { k: 2, b: { m: 3, c: 1 } } },
    ],
    ['a field within one that is not there', { a: { b: 1 } }, {}, { a: { b: 1 } }],
    ['an object where something else was', { a: { b: 1 } }, { a: [1] }, { a: { b: 1 } }],
    ['a whole list', { a: [1, '=body.a[0]'] }, { a: [5, 6, 7] }, { a: [1, 5] }],
    ['a whole object that is computed', { a: "={'b': 1}" }, { a: { c: 2 } }, { a: { b: 1 } }],
    ['null', { a: null }, { a: 1 }, { a: null }],
    [
      'nothing: an absent optional removes',
      { a: '=body.?none', b: { c: '=body.?none' } },
      { a: 1, b: { c: 1, d: 2 } },
      { b: { d: 2 } },
    ],
    ['values of the message as it came, in any order', { a: '=body.b', b: '=body.a' }, { a: 1, b: 2 }, { a: 2, b: 1 }],
    ['an escaped mark', { a: '==x' }, {}, { a: '=x' }],
    ['names with dots as they are', { 'a.b': 1 }, { a: { b: 0 } }, { a: { b: 0 }, 'a.b': 1 }],
    ['names that every object inherits', { a: { constructor: { b: 1 } } }, {}, { a: { constructor: { b: 1 } } }],
  ])('sets %s', async (_, config, old, expected) => {
    expect(await bodyAfter(config, old)).toEqual(expected);
  });

  it('takes __proto__ for a name like any other', async () => {
    const evil = '{"__proto__":{"polluted":1},"a":{"__proto__":{"b":1}}}';
    const config = JSON.parse('{"a":{"__proto__":{"c":2}}}') as unknown;
    const body = await bodyAfter(config, Buffer.from(evil));
    expect(JSON.stringify(body)).toBe('{"__proto__":{"polluted":1},"a":{"__proto__":{"b":1,"c":2}}}');
    expect([(body as { polluted?: number }).polluted, ({} as { c?: number }).c]).toEqual([undefined, undefined]);
  });

  it('sets and removes headers, and leaves a body alone that it does not set', async () => {
    const message = messageOf(Buffer.from('no JSON'), { headers: { 'x-old': 'kept', 'x-gone': 'removed' } });
    const made = await set({ headers: { 'x-id': '=attrs.id', 'x-gone': '=headers.?none' } }, message);
    expect(made.headers).toEqual({ 'x-old': 'kept', 'x-id': '1' });
    expect([made.body, made.attrs]).toEqual([message.body, message.attrs]);
  });

  it('leaves the message that it got as it was', async () => {
    const message = messageOf({ a: { b: 1 } });
    const made = await set({ body: { a: { b: 2 } } }, message);
    expect([message.body.value(), made.body.value()]).toEqual([{ a: { b: 1 } }, { a: { b: 2 } }]);
    expect(made.attrs).toEqual({ ...message.attrs, datacontenttype: 'application/json' });
  });

  it.each<[string, unknown, JsonValue | Uint8Array, string]>([
    ['a list has no fields', { body: { a: 1 } }, [1], 'BodyNotAnObject'],
    ['nor has null', { body: { a: 1 } }, null, 'BodyNotAnObject'],
    ['no JSON', { body: { a: 1 } }, Buffer.from('{'), 'BodyNotJson'],
    ['a field that is missing', { body: { a: '=body.none' } }, {}, 'ExpressionFailed'],
    ['a header cannot hold an object', { headers: { 'x-a': '=body' } }, {}, 'HeaderNotText'],
  ])('rejects: %s', async (_, config, body, code) => {
    await expect(set(config, messageOf(body))).rejects.toMatchObject({ instruction: 'reject', code });
  });

  it.each<[unknown, string]>([
    [{ body: { a: '=body +' } }, 'a broken expression'],
    [{ body: '=body' }, 'no fields'],
    [{ body: ['a'] }, 'a list'],
    [{ headers: { 'X-Upper': 'x' } }, 'header names are lower case'],
    [{ fields: {} }, 'an unknown field'],
  ])('configuration %j is refused (%s)', (config) => {
    expect(setStep.config.safeParse(config).success).toBe(false);
  });
});
