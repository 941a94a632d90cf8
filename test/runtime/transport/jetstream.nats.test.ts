import { jetstreamManager } from '@nats-io/jetstream';
import pino from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { connectTransport } from '../../../runtime/transport/jetstream.ts';
import type { Delivery } from '../../../runtime/transport/transport.ts';
import { bucketSpec, consumer, deadLetterSpec, inboxSpec } from '../../operator/broker/specs.ts';
import { startWorld } from '../../operator/broker/world.ts';

const log = pino({ level: 'silent' });
const inbox = { stream: 'inbox_orders', name: 'worker-0' };

const setUp = async () => {
  const world = await startWorld();
  onTestFinished(() => world.stop());
  const tenant = await world.tenant('acme');
  const workers = { ...consumer('worker-0', ['inbox.orders.0.*']), ackWaitMs: 1_500 };
  const inboxStream = inboxSpec('orders', { consumers: [workers] });
  for (const spec of [inboxStream, deadLetterSpec('orders'), bucketSpec('state')])
    await tenant.broker.ensureStream(spec);
  const manager = await jetstreamManager(await tenant.admin());
  const folder = await tenant.folder('worker', 'orders');
  let troubles = 0;
  const transport = await connectTransport({
    folder,
    role: 'worker',
    integration: 'orders',
    name: 'test',
    log,
    onTrouble: () => {
      troubles += 1;
    },
  });
  onTestFinished(() => transport.close());
  const put = (id: string, body = 'x') =>
    transport.publish({ subject: 'inbox.orders.0.in', id, headers: { 'ce-id': id }, body: Buffer.from(body) });
  return { world, tenant, manager, transport, put, inboxStream, troubles: () => troubles };
};
/** One that the end of the test, or of the server, overtakes is delivered again, to whoever asks. */
const acknowledge = (delivery: Delivery) => void delivery.ack().catch(() => undefined);
const eventually = (check: () => unknown, why = '') =>
  expect.poll(check, { timeout: 60_000, interval: 50, message: why });

describe('publish', { timeout: 90_000 }, () => {
  it('resolves when the broker has it, and stores an id once', async () => {
    const { put } = await setUp();
    expect(await put('a')).toEqual({ sequence: 1, duplicate: false });
    expect(await put('a')).toEqual({ sequence: 1, duplicate: true });
    const many = await Promise.all(Array.from({ length: 6_000 }, (_, index) => put(`m${index}`)));
    expect(new Set(many.map(({ sequence }) => sequence)).size, 'more than the window').toBe(6_000);
  });

  it('keeps headers as they are, and none that would start another', async () => {
    const { transport } = await setUp();
    const entry = { subject: 'inbox.orders.0.in', id: 'odd', body: Buffer.from('NATS/1.0\r\n\r\n') };
    const headers = { 'ce-id': 'a:b', empty: '', text: 'å "x" NATS/1.0', 'Nats-Msg-Id': 'replaced' };
    await transport.publish({ ...entry, headers });
    await expect(transport.publish({ ...entry, headers: { evil: 'x\r\nNats-Rollup: all' } })).rejects.toThrow('evil');
    const deliveries: Delivery[] = [];
    transport.consume(inbox, { credit: () => 1, deliver: (delivery) => deliveries.push(delivery) });
    await eventually(() => deliveries.length).toBe(1);
    expect(deliveries[0]?.headers).toEqual({ ...headers, 'Nats-Msg-Id': 'odd' });
    expect(Buffer.from(deliveries[0]?.body ?? [])).toEqual(entry.body);
  });

  it('says why not', async () => {
    const { transport, manager, put } = await setUp();
    const entry = { id: 'x', headers: {}, body: Buffer.from('x') };
    const to = (subject: string, body = entry.body) => transport.publish({ ...entry, subject, body });
    await expect(to('inbox.other.0.in'), 'foreign inbox').rejects.toMatchObject({ code: 'Denied' });
    await expect(to('inbox.orders.0.in', Buffer.alloc(transport.maxPayload()))).rejects.toMatchObject({
      code: 'TooLarge',
    });
    await manager.streams.update('inbox_orders', { max_msgs: 1 });
    await put('a');
    await expect(put('b')).rejects.toMatchObject({ code: 'StreamFull' });
    await manager.streams.delete('dlq_orders');
    await expect(to('dlq.orders.out')).rejects.toMatchObject({ code: 'NoStream' });
  });

  it('waits for a broker that is away for a moment, and stores once what it had sent before', async () => {
    const { world, transport, manager, put } = await setUp();
    await put('before');
    await world.kill();
    await eventually(() => transport.healthy()).toBe(false);
    const held = put('during');
    await world.start();
    await held;
    await eventually(async () => (await manager.streams.info('inbox_orders')).state.messages).toBe(2);
  });

  it('gives up on a broker that stays away', async () => {
    const { world, transport, put } = await setUp();
    await world.kill();
    await eventually(() => transport.healthy()).toBe(false);
    await expect(put('a')).rejects.toMatchObject({ code: 'Unavailable' });
    await world.start();
  });
});

describe('consume', { timeout: 90_000 }, () => {
  it('never delivers more than the credit, and delivers everything', async () => {
    const { transport, put } = await setUp();
    await Promise.all(Array.from({ length: 500 }, (_, index) => put(`m${index}`)));
    const seen = new Set<number>();
    let held = 0;
    let most = 0;
    const consumption = transport.consume(inbox, {
      credit: () => 20 - held,
      deliver: (delivery) => {
        held += 1;
        most = Math.max(most, held);
        seen.add(delivery.sequence);
        void delivery.ack().then(() => {
          held -= 1;
          consumption.more();
        });
      },
    });
    await eventually(() => seen.size).toBe(500);
    expect(most).toBeLessThanOrEqual(20);
  });

  it('pauses at no credit and goes on when told', async () => {
    const { transport, put } = await setUp();
    await put('a');
    let credit = 0;
    const seen: string[] = [];
    const consumption = transport.consume(inbox, {
      credit: () => credit,
      deliver: ({ headers }) => seen.push(headers['ce-id'] ?? ''),
    });
    await eventually(() => transport.healthy()).toBe(true);
    expect(seen).toEqual([]);
    credit = 1;
    consumption.more();
    await eventually(() => seen).toEqual(['a']);
  });

  it('is healed when its consumer was deleted and comes back, and is not healthy in between', async () => {
    const { tenant, transport, manager, put, inboxStream, troubles } = await setUp();
    const seen: string[] = [];
    transport.consume(inbox, {
      credit: () => 10,
      deliver: (delivery) => {
        seen.push(delivery.headers['ce-id'] ?? '');
        acknowledge(delivery);
      },
    });
    await put('a');
    await eventually(() => seen).toEqual(['a']);
    await manager.consumers.delete(inbox.stream, inbox.name);
    await eventually(() => transport.healthy()).toBe(false);
    expect(troubles()).toBeGreaterThan(0);
    await tenant.broker.ensureStream(inboxStream);
    await put('b');
    await eventually(() => seen).toContain('b');
    await eventually(() => transport.healthy()).toBe(true);
  });

  it('is healed when the broker restarts', async () => {
    const { world, transport, put } = await setUp();
    const seen: string[] = [];
    transport.consume(inbox, {
      credit: () => 10,
      deliver: (delivery) => {
        seen.push(delivery.headers['ce-id'] ?? '');
        acknowledge(delivery);
      },
    });
    await put('a');
    await eventually(() => seen).toEqual(['a']);
    await world.restart();
    await eventually(() =>
      put('b').then(
        () => true,
        () => false,
      ),
    ).toBe(true);
    await eventually(() => seen).toContain('b');
    await eventually(() => transport.healthy()).toBe(true);
  });

  it('gives a message back, now or later, and keeps one that is still worked on', async () => {
    const { transport, put } = await setUp();
    await put('a');
    const deliveries: Delivery[] = [];
    transport.consume(inbox, { credit: () => 1, deliver: (delivery) => deliveries.push(delivery) });
    await eventually(() => deliveries.length).toBe(1);
    deliveries[0]?.nak(0);
    await eventually(() => deliveries.length).toBe(2);
    expect(deliveries[1]).toMatchObject({
      stream: 'inbox_orders',
      sequence: 1,
      deliveries: 2,
      subject: 'inbox.orders.0.in',
    });
    const beats = setInterval(() => deliveries[1]?.working(), 200);
    onTestFinished(() => clearInterval(beats));
    await put('b');
    const of = (id: string) => deliveries.filter(({ headers }) => headers['ce-id'] === id);
    await eventually(() => of('b').length, 'its AckWait passed').toBeGreaterThan(1);
    expect(of('a')).toHaveLength(2);
    await Promise.all([deliveries[1]?.ack(), of('b').at(-1)?.ack()]);
    const ackPending = () => transport.fill(inbox).then((fill) => fill.ackPending);
    await eventually(ackPending).toBe(0);
  });
});

describe('state', { timeout: 90_000 }, () => {
  it('is written by compare and set', async () => {
    const { transport } = await setUp();
    const { state } = transport;
    const key = 'orders.m.inbox_orders.1';
    expect(await state.read(key)).toBeUndefined();
    const first = await state.write(key, Buffer.from('1'), 0);
    await expect(state.write(key, Buffer.from('2'), 0)).rejects.toMatchObject({ code: 'Conflict' });
    const second = await state.write(key, Buffer.from('3'), first);
    await expect(state.write(key, Buffer.from('4'), first)).rejects.toMatchObject({ code: 'Conflict' });
    expect(await state.read(key)).toMatchObject({ revision: second });
    await state.remove(key);
    expect(await state.read(key)).toBeUndefined();
    expect(await state.write(key, Buffer.from('5'), 0), 'a removed key can be made again').toBeGreaterThan(second);
  });

  it('is closed to other Integrations', async () => {
    const { transport } = await setUp();
    await expect(transport.state.read('other.m.inbox_other.1')).rejects.toMatchObject({ code: 'Denied' });
    await expect(transport.state.write('other.x', Buffer.from('1'), 0)).rejects.toMatchObject({ code: 'Denied' });
  });
});
