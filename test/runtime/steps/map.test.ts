import { describe, expect, it } from 'vitest';
import type { ExpressionScope, OpenStep, StepContext } from '../../../runtime/connector.ts';
import { Body, type JsonValue, type Message } from '../../../runtime/message.ts';
import { mapStep } from '../../../runtime/steps/map.ts';
import { attemptOf } from '../attempt.ts';

const message: Message = {
  attrs: { id: '1', source: '/shop', type: 'order', specversion: '1.0', datacontenttype: 'text/plain' },
  headers: { 'x-old': 'kept', 'x-gone': 'removed' },
  body: Body.fromBytes(Buffer.from('{"id":7,"lines":[{"sku":"a"}]}')),
};
const attempt = attemptOf();
const scope = ({ attrs, headers, body }: Message): ExpressionScope => ({
  attrs,
  headers,
  body: body.value(),
  vars: {},
  error: null,
  meta: {},
});
const run = async (config: unknown): Promise<Message> => {
  const step: OpenStep = await mapStep.open(mapStep.config.parse(config), { scope } as unknown as StepContext);
  return (await step.run(message, attempt)) as Message;
};

describe('map', () => {
  it.each<[unknown, JsonValue, string]>([
    [{ id: '=body.id', kind: 'order' }, { id: 7, kind: 'order' }, 'computed and fixed fields'],
    ["=body.lines.map(l, {'sku': l.sku})", [{ sku: 'a' }], 'a whole body from one expression'],
    ['==x', '=x', 'an escaped mark'],
    [null, null, 'an empty body'],
  ])('body %j becomes %j (%s)', async (body, expected) => {
    expect((await run({ body })).body.value()).toEqual(expected);
  });

  it('says that the body is JSON now and keeps all other attributes', async () => {
    expect((await run({ body: 1 })).attrs).toEqual({ ...message.attrs, datacontenttype: 'application/json' });
  });

  it('sets, keeps and removes headers', async () => {
    const made = await run({ body: 1, headers: { 'x-id': '=body.id', 'x-gone': '=body.?none' } });
    expect(made.headers).toEqual({ 'x-old': 'kept', 'x-id': '7' });
  });

  it('leaves the message that it got as it was', async () => {
    await run({ body: { id: 1 }, headers: { 'x-old': 'new' } });
    expect([message.headers['x-old'], message.body.value()]).toEqual(['kept', { id: 7, lines: [{ sku: 'a' }] }]);
  });

  it.each<[unknown, string, string]>([
    [{ body: '=body.none' }, 'ExpressionFailed', 'a missing field'],
    [{ body: '=body.?none' }, 'NothingMapped', 'no body at all'],
    [{ body: 1, headers: { 'x-a': '=body' } }, 'HeaderNotText', 'a header cannot hold an object'],
  ])('%j is rejected as %s (%s)', async (config, code) => {
    await expect(run(config)).rejects.toMatchObject({ instruction: 'reject', code });
  });

  it.each<[unknown, string]>([
    [{ body: '=body +' }, 'a broken expression'],
    [{}, 'no body'],
    [{ body: 1, headers: { 'X-Upper': 'x' } }, 'header names are lower case'],
    [{ body: 1, more: 1 }, 'an unknown field'],
  ])('configuration %j is refused (%s)', (config) => {
    expect(mapStep.config.safeParse(config).success).toBe(false);
  });
});
