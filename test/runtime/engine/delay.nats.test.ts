import { expect, it } from 'vitest';
import { eventually, flowTo, startReceiver, startWorkshop } from './workshop.ts';

const ids = (prefix: string) => Array.from({ length: 12 }, (_, index) => `${prefix}-${index}`);

it('messages that wait take no place of those that run, and go on when they are due', {
  timeout: 180_000,
}, async () => {
  const [workshop, receiver] = await Promise.all([startWorkshop({ ackWaitMs: 30_000 }), startReceiver()]);
  const due = Date.now() + 4_000;
  const early: string[] = [];
  receiver.behave(({ id }) => {
    if (Date.now() < due) early.push(id);
    return 200;
  });
  const steps = [{ name: 'wait', delay: { until: 'body.at' } }];
  await workshop.startWorker(flowTo(receiver.url, { steps, delivery: { ...flowTo('').delivery, concurrency: 2 } }));
  await workshop.publish(ids('far'), { at: new Date(due + 3_600_000).toISOString() });
  await workshop.publish(ids('soon'), { at: new Date(due).toISOString() });
  await eventually(() => workshop.messages('inbox_orders')).toBe(12);
  expect(receiver.calls.map(({ id }) => id).toSorted()).toEqual(ids('soon').toSorted());
  expect([early, await workshop.messages('dlq_orders')]).toEqual([[], 0]);
});
