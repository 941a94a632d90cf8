import { expect, it } from 'vitest';
import { checkpointStep } from '../../../runtime/steps/checkpoint.ts';
import { startGatherer } from './gatherer.ts';
import { messageOf } from './harness.ts';

const start = (options?: Parameters<typeof startGatherer>[2]) => startGatherer(checkpointStep, {}, options);

it('hands a message on as it is, with its variables and no trace of the way', async () => {
  const step = await start();
  const attrs = { id: '7', source: '/shop', type: 'order', specversion: '1.0', other: 'x', kanavavars: 'no' } as const;
  const vars = { customer: { name: 'Zoë', "quoted'": [1, null] } };
  const bytes = Buffer.from([0x7b, 0xff, 0x00]);
  const message = messageOf(bytes, { attrs, headers: { 'x-kept': 'yes' }, vars });
  expect(await step.give(null, { id: '7', message })).toBe('on');
  await step.pass(0);
  const { kanavavars: _, ...rest } = attrs;
  expect(step.made).toMatchObject([{ attrs: rest, headers: { 'x-kept': 'yes' }, vars }]);
  expect(step.made[0]?.attrs).not.toHaveProperty('kanavavars');
  expect(Buffer.from(step.made[0]?.body.bytes() ?? [])).toEqual(bytes);
});

it('takes no variables beyond what headers hold', async () => {
  const step = await start();
  const message = messageOf({}, { vars: { text: 'x'.repeat(16 * 1024) } });
  expect(await step.give(null, { message })).toBe('reject VariablesTooLarge');
});

it('comes out once, however often it comes', async () => {
  const step = await start();
  for (const repeated of [false, true, true]) expect(await step.give({ no: 1 }, { id: 'one', repeated })).toBe('on');
  await step.restart();
  expect(await step.give({ no: 1 }, { id: 'one', repeated: true })).toBe('on');
  await step.finish();
  expect(step.bodies()).toEqual([{ no: 1 }]);
});

it('holds up nothing while the inbox is full but those that stand for a timer', async () => {
  const step = await start();
  step.fill(0);
  const ids = Array.from({ length: 60 }, (_, index) => `m${index}`);
  const stay: string[] = [];
  for (const id of ids) if ((await step.give(id, { id })) !== 'on') stay.push(id);
  expect(stay.length).toBeGreaterThan(0);
  expect(stay.length).toBeLessThanOrEqual(8);
  await step.pass(5_000);
  expect(step.made).toEqual([]);
  await step.restart();
  step.fill(Number.POSITIVE_INFINITY);
  for (const id of stay) expect(await step.give(id, { id, repeated: true })).toBe('on');
  await step.finish();
  expect(new Set(step.bodies())).toEqual(new Set(ids));
  expect(step.made).toHaveLength(ids.length);
  expect(step.waiting).toEqual([]);
});

it('says when a message cannot even be kept while the inbox is full', async () => {
  const step = await start({ room: 200 });
  step.fill(0);
  expect(await step.give('x'.repeat(300))).toBe('reject MessageTooLarge');
  step.fill(1);
  expect(await step.give('x'.repeat(300)), 'control').toBe('on');
});
