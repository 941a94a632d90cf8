import { describe, expect, it } from 'vitest';
import { disorder, inTime, positionOf, startOrdered } from './ordered.ts';

const seed = 11;

const keys = Array.from({ length: 24 }, (_, index) => `k${index}`);
const each = 30;
/** 720 messages while workers are killed, added and stopped. */
const underDisturbance = async (ordering: 'Key' | 'None') => {
  const { workshop, receiver, flow, send } = await startOrdered({ ordering });
  let chance = seed;
  receiver.behave(() => {
    chance = (chance * 48_271) % 2_147_483_647;
    return new Promise((resolve) => setTimeout(() => resolve(chance % 20 === 0 ? 503 : 200), chance % 40));
  });
  const called = (count: number) => inTime(() => receiver.calls.length).toBeGreaterThan(count);
  const first = await workshop.startWorker(flow);
  const sending = (async () => {
    for (let n = 0; n < each; n += 1) await Promise.all(keys.map((key) => send(key, n)));
  })();
  await called(60);
  const second = await workshop.startWorker(flow);
  await called(160);
  await first.kill();
  const third = await workshop.startWorker(flow);
  await called(300);
  expect(await second.stop()).toBe(0);
  await called(400);
  await third.kill();
  await workshop.startWorker(flow);
  await sending;
  await inTime(() => workshop.messages('inbox_orders')).toBe(0);
  const seen = receiver.counts();
  return {
    disorder: disorder(receiver),
    missing: keys.flatMap((key) => Array.from({ length: each }, (_, n) => `${key}-${n}`)).filter((id) => !seen.has(id)),
    deadLetters: await workshop.messages('dlq_orders'),
  };
};

describe('order by key', { timeout: 300_000 }, () => {
  it('is kept while workers are added, killed and stopped, and sinks fail now and then', async () => {
    expect(await underDisturbance('Key')).toEqual({ disorder: [], missing: [], deadLetters: 0 });
  });

  it('control: without it the same run is out of order', async () => {
    const { disorder: found, missing } = await underDisturbance('None');
    expect(found.length).toBeGreaterThan(0);
    expect(missing).toEqual([]);
  });

  it('a key that fails holds up its own messages and nobody else’s; a dead letter lets its lane go on', async () => {
    const { workshop, receiver, flow, send } = await startOrdered();
    let mended = false;
    receiver.behave((call) => (positionOf(call).key === 'bad' && positionOf(call).n === 1 && !mended ? 503 : 200));
    for (let n = 0; n < 5; n += 1) for (const key of ['bad', ...keys]) await send(key, n);
    const patient = { ...flow.delivery, retry: { attempts: 1000, backoff: { initial: '50ms', max: '200ms' } } };
    const worker = await workshop.startWorker({ ...flow, delivery: patient });
    const reached = (key: string) => [...receiver.counts().keys()].filter((id) => id.startsWith(`${key}-`));
    await inTime(() => keys.filter((key) => reached(key).length < 5)).toEqual([]);
    expect(reached('bad')).toEqual(['bad-0', 'bad-1']);
    // The failed one and those behind it.
    await inTime(() => workshop.messages('inbox_orders')).toBe(4);
    await worker.stop();
    await workshop.startWorker(flow);
    await inTime(() => workshop.messages('dlq_orders')).toBe(1);
    mended = true;
    await inTime(() => workshop.messages('inbox_orders')).toBe(0);
    expect(reached('bad')).toEqual(['bad-0', 'bad-1', 'bad-2', 'bad-3', 'bad-4']);
    expect(disorder(receiver)).toEqual([]);
  });

  it('a worker that stops hands its partitions over, though it would be taken for alive for an hour', async () => {
    const { workshop, receiver, flow, send } = await startOrdered({ ownerTimeoutMs: 3_600_000 });
    const first = await workshop.startWorker(flow);
    for (const key of keys) await send(key, 0);
    await inTime(() => workshop.messages('inbox_orders')).toBe(0);
    await workshop.startWorker(flow);
    expect(await first.stop()).toBe(0);
    for (const key of keys) await send(key, 1);
    await inTime(() => workshop.messages('inbox_orders')).toBe(0);
    expect(receiver.calls).toHaveLength(2 * keys.length);
  });
});
