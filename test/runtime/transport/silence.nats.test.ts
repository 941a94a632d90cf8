import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pino from 'pino';
import { expect, it, onTestFinished } from 'vitest';
import { makeUser } from '../../../operator/broker/credentials.ts';
import { connectTransport } from '../../../runtime/transport/jetstream.ts';
import { startPull } from '../../../runtime/transport/pull.ts';
import { createWire } from '../../../runtime/transport/wire.ts';
import { inbox, inboxSubject, streamsOfOrders } from '../../conformance/transport.ts';
import { connectWith, startWorld } from '../../operator/broker/world.ts';
import { startDeafProxy } from './deaf-proxy.ts';

const log = pino({ level: 'silent' });
const eventually = (check: () => unknown, why = '') =>
  expect.poll(check, { timeout: 120_000, interval: 50, message: why });

const setUp = async () => {
  const world = await startWorld();
  onTestFinished(() => world.stop());
  const tenant = await world.tenant('acme');
  for (const spec of streamsOfOrders()) await tenant.broker.ensureStream(spec);
  const proxy = await startDeafProxy(world.url);
  onTestFinished(() => proxy.close());
  const folder = await tenant.folder('worker', 'orders');
  await writeFile(join(folder, 'url'), proxy.url);
  const troubles: string[] = [];
  const transport = await connectTransport({
    folder,
    role: 'worker',
    integration: 'orders',
    name: 'test',
    log,
    onTrouble: (trouble) => troubles.push(trouble),
  });
  onTestFinished(() => transport.close());
  const put = (id: string) =>
    transport.publish({ subject: inboxSubject, id, headers: { 'ce-id': id }, body: Buffer.from(id) });
  return { tenant, proxy, transport, troubles, put };
};

const patience = { timeout: 300_000 };

it('pulls anew when heartbeats come and messages do not although some wait, and says so', patience, async () => {
  const { proxy, transport, troubles, put } = await setUp();
  proxy.deaf(1);
  const seen: string[] = [];
  transport.consume(inbox, {
    credit: () => 5,
    deliver: (delivery) => {
      seen.push(delivery.headers['ce-id'] ?? '');
      // One that the end of the test overtakes is delivered again, to whoever asks.
      void delivery.ack().catch(() => undefined);
    },
  });
  await put('a');
  await eventually(() => transport.trouble(), 'it is seen in readiness').toContain('nothing comes although 1 wait');
  expect(seen, 'the control: until then the fault held it back').toEqual([]);
  expect(proxy.heartbeats(), 'and heartbeats came').toBeGreaterThan(10);
  await eventually(() => seen).toEqual(['a']);
  await eventually(() => transport.trouble()).toBeUndefined();
  expect(troubles).toEqual(['silence']);
});

it('the control: a pull that nobody doubts waits on', patience, async () => {
  const { tenant, proxy, put } = await setUp();
  const { creds } = makeUser(tenant.keys, 'worker', 'orders', 3_600_000);
  const connection = await connectWith(proxy.url, creds, '_INBOX_w_orders');
  onTestFinished(() => connection.close());
  proxy.deaf(1);
  let received = 0;
  const pull = startPull(connection, createWire(connection), {
    ...inbox,
    credit: () => 5,
    deliver: () => undefined,
    log,
    replyPrefix: '_INBOX_w_orders.control',
    online: () => true,
    // The protection is off: nothing is ever said to wait.
    probe: async () => ({ deliveredTo: 0, pending: 0, ackPending: 0, maxAckPending: 0 }),
    unpin: async () => undefined,
    received: () => {
      received += 1;
    },
    onTrouble: () => undefined,
  });
  onTestFinished(() => pull.stop());
  await put('a');
  await eventually(() => proxy.heartbeats(), 'twice the time in which it is noticed').toBeGreaterThan(60);
  expect(received).toBe(0);
  expect(pull.healthy(), 'and it looks well').toBe(true);
});

it('says what it may not do, at once', patience, async () => {
  const { tenant, put } = await setUp();
  await put('a');
  const troubles: string[] = [];
  const stranger = await connectTransport({
    folder: await tenant.folder('worker', 'other'),
    role: 'worker',
    integration: 'other',
    name: 'stranger',
    log,
    onTrouble: (trouble) => troubles.push(trouble),
  });
  onTestFinished(() => stranger.close());
  stranger.consume(inbox, { credit: () => 1, deliver: () => expect.fail('it has no right to it') });
  await eventually(() => stranger.trouble()).toContain('may not publish');
  expect(troubles[0], 'before heartbeats could be missed').toBe('denied');
  expect(stranger.healthy()).toBe(false);
});
