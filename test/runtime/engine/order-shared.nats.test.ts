import { jetstream } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { effectiveIntegration } from '../../../operator/api/effective.ts';
import { planSchedules } from '../../../operator/plan/shared-streams.ts';
import { replayHeaders } from '../../../runtime/nats/envelope.ts';
import { bus, http, integration as integrationOf, schedule } from '../../build.ts';
import { disorder, inTime, positionOf, repeated, startOrdered, startSender } from './ordered.ts';
import { subscribe, waiting } from './shared-streams.ts';
import { type Call, integration } from './workshop.ts';

/* Order by key of what comes from the bus and from schedules: through the Integration's own inbox. */
const keys = Array.from({ length: 12 }, (_, index) => `k${index}`);
const idOf = (key: string, n: number) => `${key}-${n}`;

const start = async (ordering: 'Key' | 'None' = 'Key', ackWaitMs = 3_000) => {
  const world = await startOrdered({ ordering, ackWaitMs });
  const { workshop, flow } = world;
  const sources = [http({ path: '/in' }, 'in'), bus(['order.placed'])];
  const { ordering: _, partitions, key, concurrency } = flow.delivery;
  const kept = ordering === 'Key' ? { ordering, partitions, key: key ?? '', concurrency } : {};
  await subscribe(workshop, integration, sources, { ackWaitMs }, kept);
  const client = jetstream(workshop.admin);
  /** As another Integration publishes it, which kept another order and may have been replayed. */
  const publish = async (id: string, body: unknown) => {
    const lines = headers();
    const event = { 'ce-id': id, 'ce-source': '/shop', 'ce-type': 'order.placed', 'ce-specversion': '1.0' };
    const foreign = { 'ce-partitionkey': 'theirs', [replayHeaders.count]: '1', [replayHeaders.only]: 'nobody' };
    for (const [name, value] of Object.entries({ ...event, ...foreign })) lines.set(name, value);
    await client.publish('bus.order_placed', JSON.stringify(body), { headers: lines, msgID: `shop/${id}` });
  };
  return {
    ...world,
    flow: { ...flow, sources },
    publish,
    event: (key: string, n: number) => publish(idOf(key, n), { key, n }),
    settled: async () => {
      await inTime(() => waiting(workshop, 'bus', integration)).toBe(0);
      await inTime(() => workshop.messages('inbox_orders')).toBe(0);
    },
  };
};

/** Events all the time while workers are killed and added. */
const underDisturbance = async (ordering: 'Key' | 'None') => {
  const { workshop, receiver, flow, event, settled } = await start(ordering);
  let chance = 5;
  receiver.behave(() => {
    chance = (chance * 48_271) % 2_147_483_647;
    return new Promise((resolve) => setTimeout(() => resolve(chance % 20 === 0 ? 503 : 200), chance % 60));
  });
  const furtherCalls = (count: number) => {
    const before = receiver.calls.length;
    return inTime(() => receiver.calls.length).toBeGreaterThan(before + count);
  };
  const first = await workshop.startWorker(flow);
  const sender = startSender({ keys, send: event, receiver, mostWaiting: 5 * keys.length });
  await furtherCalls(40);
  const second = await workshop.startWorker(flow);
  await furtherCalls(40);
  await first.kill();
  await workshop.startWorker(flow);
  await furtherCalls(80);
  await second.kill();
  await furtherCalls(80);
  const sent = await sender.stop();
  await settled();
  const seen = receiver.counts();
  return {
    disorder: disorder(receiver),
    missing: sent.filter((id) => !seen.has(id)),
    deadLetters: await workshop.messages('dlq_orders'),
  };
};

describe('order by key over the bus', { timeout: 300_000 }, () => {
  it('is kept while workers are added and killed, whatever key the publisher wrote', async () => {
    expect(await underDisturbance('Key')).toEqual({ disorder: [], missing: [], deadLetters: 0 });
  });

  it('control: without it the same run is out of order', async () => {
    const { disorder: found, missing } = await underDisturbance('None');
    expect(found.length).toBeGreaterThan(0);
    expect(missing).toEqual([]);
  });

  it('is one for all sources: two workers never work on two messages of a key', async () => {
    const { workshop, receiver, flow, event, send, settled } = await start('Key', 30_000);
    const busy = new Map<string, number>();
    const together: string[] = [];
    receiver.behave(async (call) => {
      const { key } = positionOf(call);
      busy.set(key, (busy.get(key) ?? 0) + 1);
      if ((busy.get(key) ?? 0) > 1) together.push(key);
      await new Promise((resolve) => setTimeout(resolve, 20));
      busy.set(key, (busy.get(key) ?? 0) - 1);
      return 200;
    });
    await Promise.all([workshop.startWorker(flow), workshop.startWorker(flow)]);
    for (let n = 0; n < 10; n += 1) {
      for (const key of keys) await event(key, n);
      await Promise.all(keys.map((key) => send(key, n + 100)));
    }
    await settled();
    expect([together, repeated(receiver), receiver.counts().size]).toEqual([[], 0, 20 * keys.length]);
  });

  it('a key that fails holds up only its own; an event without a key is a dead letter', async () => {
    const { workshop, receiver, flow, event, publish } = await start();
    let mended = false;
    const fails = (call: Call) => positionOf(call).key === 'k0' && !mended;
    receiver.behave((call) => (fails(call) ? 503 : 200));
    const patient = { ...flow.delivery, retry: { attempts: 1000, backoff: { initial: '50ms', max: '200ms' } } };
    await workshop.startWorker({ ...flow, delivery: patient });
    await publish('odd', { n: 1 });
    for (let n = 0; n < 3; n += 1) for (const key of keys) await event(key, n);
    const reached = () => keys.slice(1).filter((key) => receiver.counts().has(idOf(key, 2)));
    await inTime(() => reached().length).toBe(keys.length - 1);
    expect([...receiver.counts().keys()].filter((id) => id.startsWith('k0-'))).toEqual(['k0-0']);
    await inTime(() => workshop.messages('dlq_orders')).toBe(1);
    const letter = await workshop.manager.streams.getMessage('dlq_orders', { last_by_subj: 'dlq.>' });
    expect(['ce-id', 'kanava-code'].map((name) => letter?.header.get(name))).toEqual(['odd', 'KeyMissing']);
    mended = true;
    await inTime(() => workshop.messages('inbox_orders')).toBe(0);
    expect([...receiver.counts().keys()].filter((id) => id.startsWith('k0-'))).toEqual(['k0-0', 'k0-1', 'k0-2']);
    expect(disorder(receiver)).toEqual([]);
  });

  it('what finds no room in the inbox waits on the bus', async () => {
    const { workshop, receiver, flow, event, settled } = await start();
    const { config } = await workshop.manager.streams.info('inbox_orders');
    await workshop.manager.streams.update('inbox_orders', { ...config, max_bytes: 16 * 1024 });
    let open = false;
    receiver.behave(() => (open ? 200 : 503));
    const patient = { ...flow.delivery, retry: { attempts: 1000, backoff: { initial: '50ms', max: '200ms' } } };
    await workshop.startWorker({ ...flow, delivery: patient });
    for (let n = 0; n < 20; n += 1) for (const key of keys) await event(key, n);
    const bytes = async () => (await workshop.manager.streams.info('inbox_orders')).state.bytes;
    await inTime(bytes).toBeGreaterThan(15 * 1024);
    const all = async () => (await waiting(workshop, 'bus', integration)) + (await workshop.messages('inbox_orders'));
    // What has just been moved is in both for a moment: until its ack on the bus.
    await inTime(all).toBe(240);
    open = true;
    await settled();
    expect([disorder(receiver), receiver.counts().size]).toEqual([[], 20 * keys.length]);
  });

  it('a tick goes the same way and keeps its id', async () => {
    const { workshop, receiver, flow } = await startOrdered();
    const sources = [schedule({ cron: '* * * * * *', body: '{"key": "k", "n": 1}', type: 'report.due' })];
    const { partitions, key = '', concurrency } = flow.delivery;
    const kept = { ordering: 'Key', partitions, key, concurrency } as const;
    await subscribe(workshop, integration, sources, { ackWaitMs: 3_000 }, kept);
    const { spec } = integrationOf({ sources });
    const schedules = planSchedules({ tenant: 'acme', integration }, effectiveIntegration(spec));
    await workshop.tenant.broker.ensureSchedules(integration, schedules);
    await workshop.startWorker({ ...flow, sources });
    await inTime(() => receiver.counts().size).toBeGreaterThan(3);
    const ids = [...receiver.counts().keys()];
    expect(ids).toEqual(ids.toSorted());
    expect(ids[0]).toMatch(/^\/acme\/orders\/nightly\/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(receiver.calls[0]?.headers).toMatchObject({ 'ce-type': 'report.due', 'ce-partitionkey': 'k' });
  });
});
