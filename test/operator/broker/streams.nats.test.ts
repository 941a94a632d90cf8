import { type JetStreamManager, jetstream, jetstreamManager, type StreamConfig } from '@nats-io/jetstream';
import { headers, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deadLetterHeaders } from '../../../runtime/nats/envelope.ts';
import { bucketSpec, busSpec, consumer, deadLetterSpec, inboxSpec, tickSpec } from './specs.ts';
import { startWorld, type World, type WorldTenant } from './world.ts';

let world: World;
let acme: WorldTenant;
let admin: NatsConnection;
let manager: JetStreamManager;
beforeAll(async () => {
  world = await startWorld();
  acme = await world.tenant('acme');
  admin = await acme.admin();
  manager = await jetstreamManager(admin);
});
afterAll(() => world.stop());

describe('streams', () => {
  test.each([
    ['an inbox', inboxSpec('orders')],
    ['dead letters', deadLetterSpec('orders')],
    ['the state bucket', bucketSpec('state')],
    ['the gateway bucket', bucketSpec('gateway')],
    ['the bus', busSpec(['orders', 'billing'])],
    ['ticks', tickSpec(['orders'])],
  ])('are made as designed and then left alone: %s', async (_, spec) => {
    const first = await acme.broker.ensureStream(spec);
    expect(first).toMatchObject({ name: spec.name, messages: 0 });
    expect(first.consumers.map(({ name }) => name)).toEqual(spec.consumers.map(({ name }) => name));
    const created = (await manager.streams.info(spec.name)).created;
    expect(await acme.broker.ensureStream(spec)).toEqual(first);
    expect((await manager.streams.info(spec.name)).created).toBe(created);
  });

  test('never allow rollup headers where the design has none', async () => {
    for (const name of ['inbox_orders', 'dlq_orders', 'KV_state', 'KV_gateway', 'bus'])
      expect((await manager.streams.info(name)).config.allow_rollup_hdrs, name).toBe(false);
  });

  test('take batches when that is said, and keep it when nothing is', async () => {
    const spec = busSpec(['orders', 'billing']);
    const offered = async () => (await manager.streams.info('bus')).config.allow_atomic ?? false;
    await acme.broker.ensureStream({ ...spec, allowBatches: true });
    await acme.broker.ensureStream(spec);
    expect(await offered()).toBe(true);
    await acme.broker.ensureStream({ ...spec, allowBatches: false });
    expect(await offered()).toBe(false);
  });

  test('that may stand are not looked at while the meter sees them, and come back when it does not', async () => {
    const spec = inboxSpec('standing');
    const info = async () => (await manager.streams.info(spec.name)).config.max_bytes;
    const ensure = () => acme.broker.ensureStream(spec, { mayStand: true });
    const stop = world.broker.meter.subscribe(() => {});
    const look = async () => {
      const from = performance.now();
      await expect.poll(() => world.broker.meter.lookedAt() ?? 0, { timeout: 60_000 }).toBeGreaterThan(from);
    };
    // The first one is at consumers, too, and would see the stream before it has its own.
    await look();
    await ensure();
    await manager.streams.update(spec.name, { max_bytes: 4096 });
    await look();
    await ensure();
    expect(await info(), 'nothing was asked of NATS').toBe(4096);
    await acme.broker.ensureStream(spec);
    expect(await info(), 'the control: a look repairs it').toBe(spec.maxBytes);
    await manager.streams.delete(spec.name);
    const isBack = async () => {
      await ensure();
      return info().catch(() => undefined);
    };
    await expect.poll(isBack, { timeout: 60_000 }).toBe(spec.maxBytes);
    stop();
    await manager.streams.delete(spec.name);
  });

  const drift: readonly (readonly [string, string, Partial<StreamConfig>])[] = [
    ['a smaller size', 'inbox_orders', { max_bytes: 4096 }],
    ['a size limit, which refuses messages for good', 'inbox_orders', { max_msg_size: 1000 }],
    ['discarding old messages, which loses accepted ones', 'inbox_orders', { discard: 'old' }],
    ['an age, which loses accepted ones', 'inbox_orders', { max_age: 3_600_000_000_000 }],
    ['no acknowledgements', 'dlq_orders', { no_ack: true }],
    ['another window for doubles', 'inbox_orders', { duplicate_window: 1_000_000_000 }],
    ['other subjects', 'dlq_orders', { subjects: ['dlq.orders.*', 'elsewhere'] }],
    ['copies to elsewhere', 'dlq_orders', { republish: { src: '>', dest: 'copy.>' } }],
    ['rollup headers', 'KV_state', { allow_rollup_hdrs: true }],
    ['markers, which switch rollup headers on', 'KV_state', { subject_delete_marker_ttl: 60_000_000_000 }],
    ['another owner', 'inbox_orders', { metadata: { 'kanava.dev/uid': 'someone' } }],
    ['no direct gets', 'KV_gateway', { allow_direct: false }],
  ];
  test.each(drift)('get back what somebody changed by hand, with all messages: %s', async (_, name, change) => {
    const specs = [inboxSpec('orders'), deadLetterSpec('orders'), bucketSpec('state'), bucketSpec('gateway')];
    const spec = specs.find((candidate) => candidate.name === name) ?? inboxSpec('none');
    const before = (await manager.streams.info(name)).config;
    await manager.streams.update(name, change);
    expect((await manager.streams.info(name)).config).not.toEqual(before);
    await acme.broker.ensureStream(spec);
    expect((await manager.streams.info(name)).config).toEqual(before);
  });

  test('that are taken for new and are there are found, mended, and keep what they hold', async () => {
    const spec = inboxSpec('stayed');
    await acme.broker.ensureStream(spec, { isNew: true });
    await jetstream(admin).publish('inbox.stayed.0.shop', 'kept');
    const { created, config } = await manager.streams.info(spec.name);
    expect((await acme.broker.ensureStream(spec, { isNew: true })).messages).toBe(1);
    await manager.streams.update(spec.name, { metadata: { 'kanava.dev/uid': 'of an earlier one' } });
    const state = await acme.broker.ensureStream(spec, { isNew: true });
    expect([state.messages, state.consumers.length]).toEqual([1, spec.consumers.length]);
    expect(await manager.streams.info(spec.name)).toMatchObject({ created, config });
  });

  test('grow with their spec and keep what they hold', async () => {
    await jetstream(admin).publish('inbox.orders.0.shop', 'kept');
    const state = await acme.broker.ensureStream(inboxSpec('orders', { maxBytes: 8 * 1024 ** 2 }));
    expect(state.messages).toBe(1);
    expect((await manager.streams.info('inbox_orders')).config.max_bytes).toBe(8 * 1024 ** 2);
    await acme.broker.ensureStream(inboxSpec('orders'));
  });

  test.each([
    ['storage', inboxSpec('orders', { storage: 'memory' })],
    ['retention', inboxSpec('orders', { retention: 'limits' })],
    ['max_consumers', inboxSpec('orders', { maxConsumers: 5 })],
  ])('are never made anew to change what NATS cannot change: %s', async (field, spec) => {
    await expect(acme.broker.ensureStream(spec)).rejects.toMatchObject({
      code: 'Immutable',
      message: expect.stringMatching(new RegExp(`inbox_orders.*${field}.*cannot change`)),
    });
    expect((await acme.broker.streams()).find(({ name }) => name === 'inbox_orders')?.messages).toBe(1);
  });

  test.each([
    ['more storage than the tenant has', { storage: 2 * 1024 ** 2 }, inboxSpec('big', { maxBytes: 4 * 1024 ** 2 })],
    ['memory that the tenant has not', {}, inboxSpec('fast', { storage: 'memory' })],
    ['more streams than the tenant may have', { streams: 1 }, inboxSpec('second')],
    ['replicas without a cluster', {}, inboxSpec('copied', { replicas: 3 })],
  ])('are refused with the reason: %s', async (_, limits, spec) => {
    const name = `limit-${spec.name.replace('_', '-')}`;
    const small = await world.tenant(name, limits);
    if ('streams' in limits) await small.broker.ensureStream(inboxSpec('first'));
    await expect(small.broker.ensureStream(spec)).rejects.toMatchObject({ code: 'Insufficient' });
  });

  test('without a size are refused, so that the sum can be checked', async () => {
    await expect(manager.streams.add({ name: 'loose', subjects: ['loose'] })).rejects.toMatchObject({ code: 10113 });
  });
});

describe('consumers', () => {
  test('deleted by hand come back and the work queue is read from its start', async () => {
    await manager.consumers.delete('inbox_orders', 'worker-0');
    const state = await acme.broker.ensureStream(inboxSpec('orders'));
    expect(state.consumers).toMatchObject([{ name: 'worker-0', pending: 1, ackPending: 0 }]);
  });

  test.each([
    ['fewer unacknowledged messages', { max_ack_pending: 5 }],
    ['a limit of deliveries, which loses messages', { max_deliver: 3 }],
    ['another time for acks', { ack_wait: 1_000_000_000 }],
    ['another filter', { filter_subject: 'inbox.orders.7.*' }],
  ])('get back what somebody changed by hand: %s', async (_, change) => {
    const before = (await manager.consumers.info('inbox_orders', 'worker-0')).config;
    await manager.consumers.update('inbox_orders', 'worker-0', change);
    await acme.broker.ensureStream(inboxSpec('orders'));
    expect((await manager.consumers.info('inbox_orders', 'worker-0')).config).toEqual(before);
  });

  test('paused by hand go on', async () => {
    await manager.consumers.pause('inbox_orders', 'worker-0', new Date(Date.now() + 3_600_000));
    expect((await manager.consumers.info('inbox_orders', 'worker-0')).paused).toBe(true);
    await acme.broker.ensureStream(inboxSpec('orders'));
    expect((await manager.consumers.info('inbox_orders', 'worker-0')).paused).toBeFalsy();
  });

  test('change their filters in place: a new type starts with its next event', async () => {
    const bus = busSpec([]);
    const withFilters = (...filters: string[]) => ({ ...bus, consumers: [consumer('orders', filters)] });
    await acme.broker.ensureStream(withFilters('bus.a', 'bus.b'));
    await jetstream(admin).publish('bus.a', 'x');
    await acme.broker.ensureStream(withFilters('bus.a'));
    await acme.broker.ensureStream(withFilters('bus.a', 'bus.c'));
    await jetstream(admin).publish('bus.c', 'x');
    const state = await acme.broker.ensureStream(withFilters('bus.a', 'bus.c'));
    expect(state.consumers).toMatchObject([{ name: 'orders', pending: 2, ackPending: 0 }]);
  });

  test('one partition more gets its own, and a foreign one in its place is told', async () => {
    const partitioned = inboxSpec('lanes', {
      consumers: [0, 1].map((p) => consumer(`worker-${p}`, [`inbox.lanes.${p}.*`])),
    });
    expect((await acme.broker.ensureStream(partitioned)).consumers).toHaveLength(2);
    await manager.consumers.delete('inbox_lanes', 'worker-1');
    await manager.consumers.add('inbox_lanes', {
      durable_name: 'foreign',
      filter_subject: 'inbox.lanes.1.*',
      ack_policy: 'explicit',
    });
    await expect(acme.broker.ensureStream(partitioned)).rejects.toMatchObject({ code: 'Invalid' });
  });
});

test('more streams than one page holds are all listed, with their consumers', async () => {
  const many = await world.tenant('many', { streams: 400 });
  const other = await many.admin();
  const names = Array.from({ length: 270 }, (_, i) => `s${i}`);
  const creating = names.map((name) =>
    other.request(
      `$JS.API.STREAM.CREATE.${name}`,
      JSON.stringify({ name, subjects: [`${name}.>`], max_bytes: 1024, storage: 'file', num_replicas: 1 }),
      { timeout: 60_000 },
    ),
  );
  await Promise.all(creating);
  expect(await many.broker.streams()).toHaveLength(270);
});

describe('the last dead letter', () => {
  test('is none at first, then the newest one of any part', async () => {
    expect(await acme.broker.lastDeadLetter('orders')).toBeUndefined();
    expect(await acme.broker.lastDeadLetter('never-seen')).toBeUndefined();
    for (const [part, code] of [
      ['erp', 'HttpStatus500'],
      ['shape', 'NoSuchField'],
    ] as const) {
      const fields = headers();
      fields.set(deadLetterHeaders.code, code);
      await jetstream(admin).publish(`dlq.orders.${part}`, 'body', { headers: fields });
    }
    const last = await acme.broker.lastDeadLetter('orders');
    expect(last?.reason).toBe('NoSuchField');
    expect(Math.abs(Date.now() - Date.parse(last?.time ?? ''))).toBeLessThan(60_000);
  });
});

test('who was called is read from any point on, of more than fit into one answer', async () => {
  const gateway = await acme.connect('gateway');
  const wake = async (integration: string) =>
    (await jetstream(gateway).publish(`$KV.gateway.wake.${integration}`, 'now')).seq;
  const start = await wake('before');
  expect(await acme.broker.calledSince(start)).toEqual([]);
  const names = Array.from({ length: 1_200 }, (_, index) => `i${index}`);
  await Promise.all(names.map(wake));
  expect((await acme.broker.calledSince(start)).sort()).toEqual(names.sort());
  await wake('i7');
  const last = await wake('i8');
  expect(await acme.broker.calledSince(last - 2)).toEqual(['i7', 'i8']);
});

describe('routes', () => {
  const routes = (generation: number) => ({
    version: 1 as const,
    tenant: 'acme',
    namespace: 'acme',
    integration: 'orders',
    uid: 'uid-1',
    generation,
    suspended: false,
    partitions: 1,
    sources: [],
  });

  test('keep their revision while they are the same, and go', async () => {
    const first = await acme.broker.putRoutes(routes(1));
    expect(await acme.broker.putRoutes(routes(1))).toBe(first);
    expect(await acme.broker.putRoutes(routes(2))).toBeGreaterThan(first);
    await acme.broker.deleteRoutes('orders');
    await acme.broker.deleteRoutes('orders');
    const last = await admin.request('$JS.API.DIRECT.GET.KV_gateway.$KV.gateway.routes.orders', '');
    expect(last.headers?.get('KV-Operation')).toBe('DEL');
    expect(await acme.broker.putRoutes(routes(1))).toBeGreaterThan(first);
  });

  test('tell what the gateway applied', async () => {
    expect(await acme.broker.applied('orders')).toBeUndefined();
    const applied = { uid: 'uid-1', generation: 1, revision: 7 };
    const gateway = await acme.connect('gateway');
    await jetstream(gateway).publish('$KV.gateway.applied.orders', JSON.stringify(applied));
    expect(await acme.broker.applied('orders')).toEqual(applied);
    await jetstream(gateway).publish('$KV.gateway.applied.orders', 'not json');
    await expect(acme.broker.applied('orders')).rejects.toMatchObject({ code: 'Invalid' });
    await acme.broker.deleteRoutes('orders');
    expect(await acme.broker.applied('orders')).toBeUndefined();
  });

  test('without their bucket say what is missing, and there is nothing to delete', async () => {
    const bare = await world.tenant('bare');
    await expect(bare.broker.putRoutes(routes(1))).rejects.toMatchObject({ code: 'NotJetStream' });
    await bare.broker.deleteRoutes('orders');
  });
});
