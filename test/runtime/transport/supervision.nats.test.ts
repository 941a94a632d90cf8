import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import pino from 'pino';
import { expect, it, onTestFinished } from 'vitest';
import { makeUser } from '../../../operator/broker/credentials.ts';
import { connectTransport } from '../../../runtime/transport/jetstream.ts';
import { inbox, inboxSubject, streamsOfOrders } from '../../conformance/transport.ts';
import { startWorld } from '../../operator/broker/world.ts';
import { startHalfwayProxy } from './halfway-proxy.ts';

const eventually = (check: () => unknown, why = '') =>
  expect.poll(check, { timeout: 90_000, interval: 50, message: why });

const patience = { timeout: 300_000 };
const setUp = async (lifetimeMs: number) => {
  const world = await startWorld();
  onTestFinished(() => world.stop());
  const tenant = await world.tenant('acme');
  for (const spec of streamsOfOrders({ waitMs: 5_000 })) await tenant.broker.ensureStream(spec);
  const folder = await tenant.folder('worker', 'orders');
  const renew = (ms: number) => writeFile(join(folder, 'creds'), makeUser(tenant.keys, 'worker', 'orders', ms).creds);
  await renew(lifetimeMs);
  let ended = false;
  const connect = async (from: string) => {
    const opened = await connectTransport({
      folder: from,
      role: 'worker',
      integration: 'orders',
      name: 'test',
      log: pino({ level: 'silent' }),
      onClosed: () => {
        ended = true;
      },
    });
    onTestFinished(() => opened.close());
    return opened;
  };
  const transport = await connect(folder);
  const seen = new Set<string>();
  transport.consume(inbox, {
    credit: () => 50,
    deliver: (delivery) => {
      seen.add(delivery.headers['ce-id'] ?? '');
      void delivery.ack().catch(() => undefined);
    },
  });
  /** As a source does: again until it is stored, with the same id. */
  const put = async (id: string): Promise<number> => {
    for (let tries = 1; ; tries += 1) {
      const stored = await transport
        .publish({ subject: inboxSubject, id, headers: { 'ce-id': id }, body: Buffer.from(id) })
        .then(
          () => true,
          () => false,
        );
      if (stored) return tries;
    }
  };
  const manager = await jetstreamManager(await tenant.admin());
  /** The rights of somebody else, as after a mistake of whoever renews them. */
  const renewForOther = () =>
    writeFile(join(folder, 'creds'), makeUser(tenant.keys, 'worker', 'other', 3_600_000).creds);
  return { world, tenant, connect, renew, renewForOther, transport, seen, put, manager, ended: () => ended };
};

it('lives on when its credentials expire, and is back when new ones are there', patience, async () => {
  const { renew, transport, seen, put, ended } = await setUp(15_000);
  await put('before');
  await eventually(() => seen.has('before')).toBe(true);
  await eventually(() => transport.healthy(), 'the control: without new credentials it is out').toBe(false);
  const during = put('during');
  expect(ended()).toBe(false);
  await renew(3_600_000);
  await eventually(() => transport.healthy()).toBe(true);
  await during;
  await eventually(() => [...seen]).toEqual(['before', 'during']);
  expect(ended()).toBe(false);
});

it('stores and delivers each message through restarts of the broker', patience, async () => {
  const { world, transport, seen, put, manager } = await setUp(3_600_000);
  const ids = Array.from({ length: 3_000 }, (_, index) => `m${index}`);
  const tries: Promise<number>[] = [];
  let interruptions = 0;
  for (const [index, id] of ids.entries()) {
    tries.push(put(id));
    if (index % 1_000 !== 500) continue;
    await world.kill();
    await eventually(() => transport.healthy(), 'the control: it is noticed').toBe(false);
    interruptions += 1;
    await world.start();
  }
  await Promise.all(tries);
  expect(interruptions).toBe(3);
  await eventually(() => seen.size).toBe(3_000);
  const { state } = await manager.streams.info(inbox.stream);
  expect(state.last_seq, 'what was sent again was stored once').toBe(3_000);
});

it('dials again soon when the server went away while it greeted', patience, async () => {
  const { world, connect, tenant } = await setUp(3_600_000);
  const proxy = await startHalfwayProxy(world.url);
  onTestFinished(() => proxy.close());
  const folder = await tenant.folder('worker', 'orders');
  await writeFile(join(folder, 'url'), proxy.url);
  const transport = await connect(folder);
  const lostAt = performance.now();
  proxy.lose(2);
  await eventually(() => proxy.lost(), 'the control: it was lost halfway').toBe(2);
  await eventually(() => transport.healthy()).toBe(true);
  expect(performance.now() - lostAt, 'by itself the client waits for 40 s').toBeLessThan(38_000);
});

it('is back when its rights are, after credentials that had others', patience, async () => {
  const { world, tenant, renew, renewForOther, transport, seen, put, ended } = await setUp(3_600_000);
  const calls: string[] = [];
  transport.serve('call.orders', 'orders', (call) => {
    calls.push(Buffer.from(call.body).toString());
    call.answer({}, Buffer.from('done'));
  });
  const gateway = await tenant.connect('gateway');
  const called = (body: string) =>
    gateway.request('call.orders', body, { timeout: 5_000 }).then(
      (answer) => answer.string(),
      () => 'nobody',
    );
  await put('before');
  await eventually(() => seen.has('before')).toBe(true);
  await eventually(() => called('before')).toBe('done');
  await renewForOther();
  await world.restart();
  await eventually(() => transport.trouble(), 'the control: with others it is out, and says so').toMatch(
    /may not|not permitted|Permissions Violation/i,
  );
  await renew(3_600_000);
  await world.restart();
  await put('after');
  await eventually(() => seen.has('after')).toBe(true);
  await eventually(() => transport.healthy()).toBe(true);
  await eventually(() => called('after')).toBe('done');
  expect(ended()).toBe(false);
});
