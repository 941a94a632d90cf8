import { describe, expect, it } from 'vitest';
import { createAccept } from '../../../runtime/accept.ts';
import { Body } from '../../../runtime/message.ts';
import { inboxPartitionFilter, workerConsumer } from '../../../runtime/nats/names.ts';
import { consumer } from '../../operator/broker/specs.ts';
import { type Call, flowTo, integration, type Receiver, silent, startReceiver, startWorkshop } from './workshop.ts';

/** Several AckWaits and take-overs, on a machine that has other things to do. */
const eventually = (check: () => unknown) => expect.poll(check, { timeout: 150_000, interval: 50 });
const partitions = 4;
const seed = 11;

/** Consumers as the operator plans them, with shorter times. */
const consumersWith = (exclusive: boolean, ownerTimeoutMs = 8_000) =>
  Array.from({ length: partitions }, (_, partition) => ({
    ...consumer(workerConsumer(partition), [inboxPartitionFilter(integration, partition)]),
    ackWaitMs: 3_000,
    ...(exclusive ? { maxAckPending: 16, exclusive: { ownerTimeoutMs } } : {}),
  }));

const start = async (ordering: 'Key' | 'None', ownerTimeoutMs?: number) => {
  const consumers = consumersWith(ordering === 'Key', ownerTimeoutMs);
  const [workshop, receiver] = await Promise.all([startWorkshop({ consumers }), startReceiver()]);
  const accept = createAccept(
    workshop.gateway,
    { tenant: 'acme', integration, partitions, key: 'body.key' },
    'in',
    silent,
  );
  const flow = flowTo(receiver.url, {
    delivery: {
      timeout: '20s',
      retry: { attempts: 8, backoff: { initial: '50ms', max: '200ms' } },
      ordering,
      key: 'body.key',
      partitions,
      concurrency: 32,
    },
  });
  /** One after the other, so that the inbox has them in this order. */
  const send = async (key: string, n: number) =>
    accept({
      attrs: { id: `${key}-${n}`, source: '/shop', type: 'order', specversion: '1.0' },
      headers: {},
      body: Body.fromValue({ key, n }),
    });
  return { workshop, receiver, flow, send };
};

const positionOf = ({ body }: Call) => JSON.parse(body) as { key: string; n: number };

/** Calls that came after a later one of the same key. The last one of a key may be repeated: its worker died before the ack. */
const disorder = ({ calls }: Receiver): string[] => {
  const last = new Map<string, number>();
  return calls.flatMap((call) => {
    const { key, n } = positionOf(call);
    const before = last.get(key) ?? -1;
    last.set(key, Math.max(before, n));
    return n < before ? [`${key}: ${n} after ${before}`] : [];
  });
};

const keys = Array.from({ length: 24 }, (_, index) => `k${index}`);
const each = 30;
/** 720 messages while workers are killed, added and stopped. */
const underDisturbance = async (ordering: 'Key' | 'None') => {
  const { workshop, receiver, flow, send } = await start(ordering);
  let chance = seed;
  receiver.behave(() => {
    chance = (chance * 48_271) % 2_147_483_647;
    return new Promise((resolve) => setTimeout(() => resolve(chance % 20 === 0 ? 503 : 200), chance % 40));
  });
  const called = (count: number) => eventually(() => receiver.calls.length).toBeGreaterThan(count);
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
  await eventually(() => workshop.messages('inbox_orders')).toBe(0);
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
    const { workshop, receiver, flow, send } = await start('Key');
    let mended = false;
    receiver.behave((call) => (positionOf(call).key === 'bad' && positionOf(call).n === 1 && !mended ? 503 : 200));
    for (let n = 0; n < 5; n += 1) for (const key of ['bad', ...keys]) await send(key, n);
    const patient = { ...flow.delivery, retry: { attempts: 1000, backoff: { initial: '50ms', max: '200ms' } } };
    const worker = await workshop.startWorker({ ...flow, delivery: patient });
    const reached = (key: string) => [...receiver.counts().keys()].filter((id) => id.startsWith(`${key}-`));
    await eventually(() => keys.filter((key) => reached(key).length < 5)).toEqual([]);
    expect(reached('bad')).toEqual(['bad-0', 'bad-1']);
    // The failed one and those behind it.
    await eventually(() => workshop.messages('inbox_orders')).toBe(4);
    await worker.stop();
    await workshop.startWorker(flow);
    await eventually(() => workshop.messages('dlq_orders')).toBe(1);
    mended = true;
    await eventually(() => workshop.messages('inbox_orders')).toBe(0);
    expect(reached('bad')).toEqual(['bad-0', 'bad-1', 'bad-2', 'bad-3', 'bad-4']);
    expect(disorder(receiver)).toEqual([]);
  });

  it('a worker that stops hands its partitions over, though it would be taken for alive for an hour', async () => {
    const { workshop, receiver, flow, send } = await start('Key', 3_600_000);
    const first = await workshop.startWorker(flow);
    for (const key of keys) await send(key, 0);
    await eventually(() => workshop.messages('inbox_orders')).toBe(0);
    await workshop.startWorker(flow);
    expect(await first.stop()).toBe(0);
    for (const key of keys) await send(key, 1);
    await eventually(() => workshop.messages('inbox_orders')).toBe(0);
    expect(receiver.calls).toHaveLength(2 * keys.length);
  });
});
