import { expect, it } from 'vitest';
import { eventually, flowTo, startReceiver, startWorkshop } from './workshop.ts';

const steps = [{ name: 'lines', split: { items: 'body.lines' } }];
const order = { lines: [{ no: 0 }, { no: 1 }, { no: 2 }] };

it('a message that was split is acknowledged when all of it arrived; only what failed is sent again', {
  timeout: 180_000,
}, async () => {
  const [workshop, receiver] = await Promise.all([startWorkshop({ ackWaitMs: 30_000 }), startReceiver()]);
  let isBack = false;
  receiver.behave(({ id }) => (id === 'a/1' && !isBack ? 503 : 200));
  const delivery = { ...flowTo('').delivery, retry: { attempts: 1_000, backoff: { initial: '50ms', max: '200ms' } } };
  await workshop.startWorker(flowTo(receiver.url, { steps, delivery }));
  await workshop.publish(['a'], order);
  await eventually(() => receiver.counts().get('a/1')).toBeGreaterThan(3);
  expect(await workshop.messages('inbox_orders')).toBe(1);
  isBack = true;
  await eventually(() => workshop.messages('inbox_orders')).toBe(0);
  expect([receiver.counts().get('a/0'), receiver.counts().get('a/2')]).toEqual([1, 1]);
  expect(await workshop.messages('dlq_orders')).toBe(0);
});

it('a part that is refused for good is a dead letter of its own', { timeout: 180_000 }, async () => {
  const [workshop, receiver] = await Promise.all([startWorkshop({ ackWaitMs: 30_000 }), startReceiver()]);
  receiver.behave(({ id }) => (id === 'a/1' ? 400 : 200));
  await workshop.startWorker(flowTo(receiver.url, { steps }));
  await workshop.publish(['a'], order);
  await eventually(() => workshop.messages('inbox_orders')).toBe(0);
  expect(receiver.calls.map(({ id }) => id)).toEqual(['a/0', 'a/1', 'a/2']);
  expect(await workshop.messages('dlq_orders')).toBe(1);
});
