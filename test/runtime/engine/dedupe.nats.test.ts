import { describe, expect, it } from 'vitest';
import type { KillPoint } from '../../faults/kill-plan.ts';
import type { Fault } from './broken-rules.ts';
import { eventually, flowTo, startReceiver, startWorkshop } from './workshop.ts';

const once = [{ name: 'once', dedupe: { key: 'body.key', window: '1h' } }];
const delivery = { ...flowTo('').delivery, concurrency: 16 };
const keys = (count: number) => Array.from({ length: count }, (_, index) => `k${index}`);

/** Three messages of each key; one worker after the other kills itself, each at another point. */
const killed = async (points: readonly KillPoint[], fault?: Fault) => {
  const [workshop, receiver] = await Promise.all([startWorkshop(), startReceiver()]);
  const sent = keys(60);
  for (const copy of ['a', 'b', 'c']) for (const key of sent) await workshop.publish([`${key}-${copy}`], { key });
  const flow = flowTo(receiver.url, { steps: once, delivery });
  for (const point of points) {
    const worker = await workshop.startWorker(flow, fault, { kill: { point, after: 5 } });
    await worker.ended;
    expect(worker.output()).toContain(`"killed":"${point}"`);
  }
  await workshop.startWorker(flow, fault);
  // What the dead ones held comes back after its AckWait, on a busy machine late.
  await expect.poll(() => workshop.messages('inbox_orders'), { timeout: 180_000, interval: 100 }).toBe(0);
  const deliveredIds = (key: string) => [...receiver.counts().keys()].filter((id) => id.startsWith(`${key}-`));
  return {
    lost: sent.filter((key) => deliveredIds(key).length === 0).length,
    twice: sent.filter((key) => deliveredIds(key).length > 1).length,
    deadLetters: await workshop.messages('dlq_orders'),
  };
};

const points = ['parsed', 'while parking', 'before sink', 'after sink', 'before ack', 'after ack'] as const;

describe('dedupe', { timeout: 600_000 }, () => {
  it('delivers one message of each key, wherever workers are killed', async () => {
    expect(await killed(points)).toEqual({ lost: 0, twice: 0, deadLetters: 0 });
  });

  it('control: what counts as delivered when it is seen is lost', async () => {
    expect((await killed(['before sink', 'before sink'], 'one-phase')).lost).toBeGreaterThan(0);
  });

  it('delivers the second one when the first became a dead letter, and drops the third', async () => {
    const [workshop, receiver] = await Promise.all([startWorkshop(), startReceiver()]);
    let release: () => void = () => undefined;
    const answer = new Promise<number>((resolve) => {
      release = () => resolve(400);
    });
    receiver.behave(({ id }) => (id === 'first' ? answer : 200));
    await workshop.startWorker(flowTo(receiver.url, { steps: once, delivery }));
    await workshop.publish(['first'], { key: 'k' });
    await eventually(() => receiver.counts().get('first')).toBe(1);
    await workshop.publish(['second', 'third'], { key: 'k' });
    await workshop.publish(['other'], { key: 'o' });
    await eventually(() => receiver.counts().get('other')).toBe(1);
    expect(receiver.calls.length, 'those of the same key wait').toBe(2);
    release();
    await eventually(() => workshop.messages('inbox_orders')).toBe(0);
    expect([await workshop.messages('dlq_orders'), receiver.calls.length]).toEqual([1, 3]);
  });
});
