import { jetstream } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import type { StreamSpec } from '../../../operator/reconcile/ports.ts';
import type { Flow } from '../../../runtime/flow.ts';
import { replayHeaders } from '../../../runtime/nats/envelope.ts';
import { bus, busSink, httpSink } from '../../build.ts';
import type { Fault } from './broken-rules.ts';
import { hasty, ownStreams, patient, shared, subscribe, waiting } from './shared-streams.ts';
import { eventually, flowTo, ids, type Receiver, startReceiver, startWorkshop } from './workshop.ts';

/* Publishers and subscribers as worker processes. */
const subscriber = (name: string, types: readonly string[], receiver: Receiver, changed: Partial<Flow> = {}) =>
  flowTo(receiver.url, {
    integration: name,
    sources: [bus(types)],
    sinks: [httpSink({ path: `/${name}` }, 'out')],
    ...changed,
  });
const publisher = (url: string, ...sinks: Flow['sinks']) => flowTo(url, { sinks });
const received = (receiver: Receiver, name: string) => {
  const counts = new Map<string, number>();
  for (const { id, path } of receiver.calls) if (path === `/${name}`) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
};
const once = (sent: readonly string[]) => new Map(sent.map((id) => [id, 1]));
const sorted = (counts: ReadonlyMap<string, number>) => [...counts].toSorted(([a], [b]) => a.localeCompare(b));

/** 600 messages, each to the bus and to a slow sink beside it, so that every kill meets some that the bus has and nobody has acked. */
const killedTwice = async (changed: Partial<StreamSpec> = {}, fault?: Fault) => {
  const [workshop, receiver] = await Promise.all([startWorkshop(hasty), startReceiver()]);
  await ownStreams(workshop, 'mail');
  await subscribe(workshop, 'mail', [bus(['order.placed'])], { ...changed, ...hasty });
  const sent = ids(600);
  await workshop.publish(sent);
  receiver.behave(({ path }) =>
    path === '/out' ? new Promise((resolve) => setTimeout(() => resolve(200), 100)) : 200,
  );
  const calls = () => receiver.calls.filter(({ path }) => path === '/out').length;
  const sinks = [busSink('order.placed'), httpSink({ path: '/out' }, 'out')];
  const start = () =>
    Promise.all([
      workshop.startWorker(publisher(receiver.url, ...sinks), fault),
      workshop.startWorker(subscriber('mail', ['order.placed'], receiver)),
    ]);
  for (const killAt of [100, 350]) {
    const workers = await start();
    await eventually(calls).toBeGreaterThan(killAt);
    await Promise.all(workers.map((worker) => worker.kill()));
  }
  await start();
  await eventually(() => workshop.messages('inbox_orders')).toBe(0);
  await eventually(() => waiting(workshop, 'bus', 'mail')).toBe(0);
  const counts = received(receiver, 'mail');
  return {
    stored: await workshop.messages('bus'),
    lost: sent.filter((id) => !counts.has(id)).length,
    deadLetters: await workshop.messages('dlq_mail'),
  };
};

describe('the bus', { timeout: 180_000 }, () => {
  it('brings each event to each subscriber of its type once, with its attributes; one that sleeps misses nothing', async () => {
    const [workshop, receiver] = await Promise.all([startWorkshop(patient), startReceiver()]);
    for (const name of ['mail', 'billing', 'archive']) await ownStreams(workshop, name);
    await subscribe(workshop, 'mail', [bus(['order.placed'])]);
    await subscribe(workshop, 'billing', [bus(['order.placed', 'order.large'])]);
    await subscribe(workshop, 'archive', [bus(['order.large'])]);
    await workshop.startWorker(subscriber('mail', ['order.placed'], receiver));
    await workshop.startWorker(subscriber('archive', ['order.large'], receiver));
    await workshop.startWorker(
      publisher(receiver.url, busSink('order.placed'), {
        ...busSink('="order.large"', 'large'),
        when: 'body.total > 10',
      }),
    );
    const sent = ids(200);
    await workshop.publish(sent);
    await eventually(() => sorted(received(receiver, 'mail'))).toEqual(sorted(once(sent)));
    await eventually(() => sorted(received(receiver, 'archive'))).toEqual(sorted(once(sent)));
    expect(receiver.calls.find(({ path }) => path === '/mail')?.headers).toMatchObject({
      'ce-type': 'order.placed',
      'ce-source': '/shop',
      'x-kept': 'yes',
    });
    // Two events for each message that was published twice, of two types, under one id.
    await eventually(() => waiting(workshop, 'bus', 'billing')).toBe(400);
    await workshop.startWorker(subscriber('billing', ['order.placed', 'order.large'], receiver));
    await eventually(() => waiting(workshop, 'bus', 'billing')).toBe(0);
    expect(sorted(received(receiver, 'billing'))).toEqual(sorted(new Map(sent.map((id) => [id, 2]))));
    expect(await workshop.messages('bus')).toBe(400);
  });

  it('stores what is published again once, and what two Integrations publish under one id twice', async () => {
    const [workshop, receiver] = await Promise.all([startWorkshop(patient), startReceiver()]);
    await ownStreams(workshop, 'mail');
    await ownStreams(workshop, 'relay');
    await workshop.tenant.broker.ensureStream(shared.bus);
    await subscribe(workshop, 'relay', [bus(['order.placed'])]);
    // The other sink fails once after the bus has it: the whole message is tried again, the bus sink is not even called.
    let failures = 0;
    receiver.behave(() => (failures++ < 20 ? 503 : 200));
    await workshop.startWorker(publisher(receiver.url, busSink('order.placed'), httpSink({ path: '/out' }, 'out')));
    // It passes on the very events, as their publisher's equal: same ids, same type, heard by itself again, and then no more.
    await workshop.startWorker(
      flowTo(receiver.url, { integration: 'relay', sources: [bus(['order.placed'])], sinks: [busSink()] }),
    );
    await workshop.publish(ids(20));
    await eventually(() => workshop.messages('inbox_orders')).toBe(0);
    await eventually(() => workshop.messages('bus')).toBe(40);
    await eventually(() => waiting(workshop, 'bus', 'relay')).toBe(0);
    expect(await workshop.messages('bus')).toBe(40);
  });

  it('hears what a replay publishes once more, though it has the message already', async () => {
    const [workshop, receiver] = await Promise.all([startWorkshop(patient), startReceiver()]);
    await workshop.tenant.broker.ensureStream(shared.bus);
    await workshop.startWorker(publisher(receiver.url, busSink('order.placed')));
    await workshop.publish(['m0']);
    await eventually(() => workshop.messages('bus')).toBe(1);
    const first = await workshop.manager.streams.getMessage('bus', { seq: 1 });
    const client = jetstream(workshop.admin);
    for (const [count, id] of [
      ['1', 'a'],
      ['1', 'b'],
      ['2', 'c'],
    ] as const) {
      const replayed = headers();
      for (const [name, values] of first?.header ?? []) if (!/^nats-/i.test(name)) replayed.set(name, values[0] ?? '');
      replayed.set(replayHeaders.count, count);
      await client.publish('inbox.orders.0.in', first?.data ?? '', { headers: replayed, msgID: id });
    }
    await eventually(() => workshop.messages('inbox_orders')).toBe(0);
    const messageIds = new Set<string | undefined>();
    for (const seq of [1, 2, 3]) {
      const found = await workshop.manager.streams.getMessage('bus', { seq });
      messageIds.add(found?.header.get('Nats-Msg-Id')?.replace(first?.header.get('Nats-Msg-Id') ?? '', ''));
    }
    // The second of the first replay is that one's repeat.
    expect([messageIds, await workshop.messages('bus')]).toEqual([new Set(['', '.p1', '.p2']), 3]);
  });

  it('lets through no header that steers the server', async () => {
    const [workshop, receiver] = await Promise.all([startWorkshop(patient), startReceiver()]);
    await workshop.tenant.broker.ensureStream(shared.bus);
    await workshop.startWorker(publisher(receiver.url, busSink('order.placed')));
    const hostile = headers();
    const event = { 'ce-id': 'm0', 'ce-source': '/shop', 'ce-type': 'order', 'ce-specversion': '1.0' };
    const steering = {
      'header-nats-rollup': 'all',
      'header-nats-ttl': '1s',
      'ce-nats': 'x',
      'Nats-Foreign': 'x',
      'nats-schedule-x': 'x',
    };
    for (const [name, value] of Object.entries({ ...event, ...steering })) hostile.set(name, value);
    await workshop.publish(['earlier']);
    await eventually(() => workshop.messages('bus')).toBe(1);
    await jetstream(workshop.admin).publish('inbox.orders.0.in', '{}', { headers: hostile });
    await eventually(() => workshop.messages('bus')).toBe(2);
    const stored = await workshop.manager.streams.getMessage('bus', { seq: 2 });
    const names = [...(stored?.header ?? [])].map(([name]) => name);
    expect(names.filter((name) => /^nats-/i.test(name))).toEqual(['Nats-Msg-Id']);
    expect(names).toContain('header-nats-rollup');
  });

  it('changes the types of a subscriber under load: a new one starts with its next event, those that stay lose none', async () => {
    const [workshop, receiver] = await Promise.all([startWorkshop(patient), startReceiver()]);
    await ownStreams(workshop, 'mail');
    await subscribe(workshop, 'mail', [bus(['a', 'b'])]);
    await workshop.startWorker(subscriber('mail', ['a', 'b'], receiver));
    await workshop.startWorker(publisher(receiver.url, busSink('=attrs.id.split("-")[0]')));
    const numbered = (type: string, from: number) => Array.from({ length: 100 }, (_, n) => `${type}-${from + n}`);
    const publishing = (async () => {
      for (let round = 0; round < 10; round += 1) {
        await workshop.publish(['a', 'b', 'c'].flatMap((type) => numbered(type, round * 100)));
        const types = [['a', 'b'], ['a'], ['a', 'c'], ['a', 'b', 'c']][round % 4] as string[];
        await subscribe(workshop, 'mail', [bus(types)]);
      }
    })();
    await publishing;
    await eventually(() => workshop.messages('bus')).toBe(3_000);
    await subscribe(workshop, 'mail', [bus(['a', 'd'])]);
    await workshop.publish(['d-1']);
    await eventually(() => received(receiver, 'mail').get('d-1')).toBe(1);
    await eventually(() => waiting(workshop, 'bus', 'mail')).toBe(0);
    const all = Array.from({ length: 10 }, (_, round) => numbered('a', round * 100)).flat();
    const counts = received(receiver, 'mail');
    expect(all.filter((id) => counts.get(id) !== 1)).toEqual([]);
  });

  it('loses nothing and stores nothing twice when publisher and subscriber are killed', async () => {
    expect(await killedTwice()).toEqual({ stored: 600, lost: 0, deadLetters: 0 });
  });

  it('control: without ids that the stream remembers, what a killed publisher repeats is there twice', async () => {
    expect((await killedTwice({ duplicateWindowMs: 100 })).stored).toBeGreaterThan(600);
  });

  it('control: with the ack before the sinks, events are lost', async () => {
    expect((await killedTwice({}, 'ack-before-sink')).lost).toBeGreaterThan(0);
  });

  it('keeps retries and dead letters of each subscriber apart', async () => {
    const [workshop, receiver] = await Promise.all([startWorkshop(patient), startReceiver()]);
    for (const name of ['mail', 'billing']) {
      await ownStreams(workshop, name);
      await subscribe(workshop, name, [bus(['order.placed'])]);
      await workshop.startWorker(subscriber(name, ['order.placed'], receiver));
    }
    receiver.behave(({ path, id }) => (path === '/mail' && id === 'm3' ? 503 : 200));
    await workshop.startWorker(publisher(receiver.url, busSink('order.placed')));
    await workshop.publish(ids(10));
    await eventually(() => workshop.messages('dlq_mail')).toBe(1);
    const letter = await workshop.manager.streams.getMessage('dlq_mail', { last_by_subj: 'dlq.>' });
    expect(['ce-id', 'ce-type', 'kanava-subject', 'kanava-attempts'].map((name) => letter?.header.get(name))).toEqual([
      'm3',
      'order.placed',
      'bus.order_placed',
      '3',
    ]);
    await eventually(() => waiting(workshop, 'bus', 'mail')).toBe(0);
    expect(sorted(received(receiver, 'billing'))).toEqual(sorted(once(ids(10))));
    expect(await workshop.messages('dlq_billing')).toBe(0);
  });

  it('rejects an event without a type that can be, and a body that no dead letter could hold', async () => {
    const [workshop, receiver] = await Promise.all([startWorkshop(patient), startReceiver()]);
    await workshop.tenant.broker.ensureStream(shared.bus);
    await workshop.startWorker(publisher(receiver.url, busSink('=body.kind')));
    await workshop.publish(['no-text'], { kind: 7 });
    await workshop.publish(['large'], { kind: 'a', text: 'x'.repeat(1024 ** 2 - 64 * 1024 - 20) });
    await eventually(() => workshop.messages('dlq_orders')).toBe(2);
    const codes = new Map<string | undefined, string | undefined>();
    for (const seq of [1, 2]) {
      const letter = await workshop.manager.streams.getMessage('dlq_orders', { seq });
      codes.set(letter?.header.get('ce-id'), letter?.header.get('kanava-code'));
    }
    expect(Object.fromEntries(codes)).toEqual({ large: 'MessageTooLarge', 'no-text': 'InvalidType' });
    expect(await workshop.messages('bus')).toBe(0);
  });
});
