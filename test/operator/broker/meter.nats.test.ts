import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type LazyConnection, systemConnection } from '../../../operator/broker/connection.ts';
import { createMeter } from '../../../operator/broker/meter.ts';
import type { StreamLag } from '../../../operator/reconcile/ports.ts';
import { bucketSpec, busSpec, inboxSpec } from './specs.ts';
import { startWorld, type World, type WorldTenant } from './world.ts';

const log = pino({ level: 'silent' });
let world: World;
let tenants: WorldTenant[];
beforeAll(async () => {
  world = await startWorld({ jetstream: 'sync_interval: always' });
  tenants = [];
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    const tenant = await world.tenant(name, { storage: 64 * 1024 ** 2 });
    await tenant.broker.ensureStream(inboxSpec('orders'));
    tenants.push(tenant);
  }
});
afterAll(() => world.stop());

const store = async (tenant: WorldTenant, subject = 'inbox.orders.0.shop') => {
  await jetstream(await tenant.admin()).publish(subject, 'x');
};

const managerOf = async (tenant: WorldTenant) => jetstreamManager(await tenant.admin());
const empty = async (tenant: WorldTenant) => {
  const { streams } = await managerOf(tenant);
  for await (const { config } of streams.list()) await streams.purge(config.name);
};

interface Query {
  account?: string;
  accounts?: boolean;
  streams?: boolean;
  consumer?: boolean;
}
/** What is asked over it. */
const overhear = (connection: LazyConnection) => {
  const asked: Query[] = [];
  const get = async () => {
    const real = await connection.get();
    const publish = (...args: Parameters<typeof real.publish>) => {
      asked.push(JSON.parse(String(args[1])) as Query);
      real.publish(...args);
    };
    return new Proxy(real, {
      get: (target, name) => (name === 'publish' ? publish : Reflect.get(target, name, target)),
    });
  };
  return { asked, overheard: { ...connection, get } };
};

describe('the meter', () => {
  test('tells what waits for every tenant, however many pages it takes', async () => {
    const connection = systemConnection({ url: world.url, folder: world.natsFolder }, 'meter', log);
    const meter = createMeter(connection, async () => 1, log, { pageBytes: 1 });
    for (const tenant of tenants.slice(0, 3)) await store(tenant);
    // The first look tells how large answers are.
    await meter.look();
    const lags = await meter.look();
    const of = (tenant: WorldTenant) => lags.find(({ account }) => account === tenant.keys.account);
    expect(lags).toHaveLength(5);
    expect(tenants.map((tenant) => of(tenant)?.messages)).toEqual([1, 1, 1, 0, 0]);
    // The server counts for its consumers a moment after it has confirmed a message.
    const first = async () =>
      (await meter.look()).find(({ account }) => account === (tenants[0] as WorldTenant).keys.account);
    await expect.poll(first).toMatchObject({
      stream: 'inbox_orders',
      consumers: [{ name: 'worker-0', pending: 1, ackPending: 0 }],
    });
    meter.close();
    await connection.close();
  });

  test('calls with what changed while somebody listens, survives a restart of the server, and is quiet afterwards', async () => {
    const [first] = tenants as [WorldTenant];
    const account = first.keys.account;
    const seen: StreamLag[] = [];
    const stop = world.broker.meter.subscribe(({ changed }) => seen.push(...changed));
    await expect.poll(() => seen.some((lag) => lag.account === account), { timeout: 60_000 }).toBe(true);
    await world.restart();
    const count = world.broker.meter.lag(account, 'inbox_orders')?.messages ?? 0;
    await store(first);
    await expect
      .poll(() => seen.filter((lag) => lag.account === account).at(-1)?.messages, { timeout: 60_000 })
      .toBe(count + 1);
    stop();
  });

  test('sees a message that was delivered and not acknowledged as work', async () => {
    const [, second] = tenants as [WorldTenant, WorldTenant];
    await store(second);
    const consumer = await jetstream(await second.connect('worker', 'orders')).consumers.get(
      'inbox_orders',
      'worker-0',
    );
    const message = await consumer.next({ expires: 5000 });
    const lag = async () => (await world.broker.meter.look()).find(({ account }) => account === second.keys.account);
    const before = await lag();
    expect(before?.consumers[0]?.ackPending).toBe(1);
    await message?.ackAck();
    expect((await lag())?.messages).toBe((before?.messages ?? 0) - 1);
  });

  test('tells each subscriber of a shared stream apart', async () => {
    const [, , third] = tenants as [WorldTenant, WorldTenant, WorldTenant];
    await third.broker.ensureStream(busSpec(['orders', 'billing']));
    await store(third, 'bus.created');
    const pending = async () => {
      const found = (await world.broker.meter.look()).find(
        ({ account, stream }) => account === third.keys.account && stream === 'bus',
      );
      return found?.consumers.map(({ name, pending }) => [name, pending]).sort();
    };
    // The server counts for its consumers a moment after it has confirmed a message.
    await expect.poll(pending).toEqual([
      ['billing', 1],
      ['orders', 1],
    ]);
  });

  test('asks for consumers only where something may have happened, and misses nothing by that', async () => {
    const [, , , fourth] = tenants as [WorldTenant, WorldTenant, WorldTenant, WorldTenant];
    const { account } = fourth.keys;
    await fourth.broker.ensureStream(busSpec(['orders', 'billing']));
    // What waits is looked at all the time, and with many such accounts all are.
    for (const tenant of tenants) await empty(tenant);
    const connection = systemConnection({ url: world.url, folder: world.natsFolder }, 'meter', log);
    const { asked, overheard } = overhear(connection);
    const never = Number.POSITIVE_INFINITY;
    const often = { everyMs: { least: 50, most: 50 }, consumersEveryMs: 100, allConsumersEveryMs: never };
    const meter = createMeter(overheard, async () => 1, log, often);
    meter.subscribe(() => {});
    const consumers = () => meter.lag(account, 'bus')?.consumers.map(({ name, pending }) => `${name} ${pending}`);
    const asksForAll = () => asked.filter(({ account: one, consumer }) => consumer && one === undefined).length;
    const asksFor = (id: string) => asked.filter(({ account: one }) => one === id).length;
    await expect.poll(consumers).toEqual(['billing 0', 'orders 0']);
    const isSettled = async () => {
      const before = [asksForAll(), asksFor(account), asked.length];
      await expect.poll(() => asked.length).toBeGreaterThan((before[2] ?? 0) + 20);
      return asksForAll() === before[0] && asksFor(account) === before[1];
    };
    await expect.poll(isSettled).toBe(true);

    await store(fourth, 'bus.created');
    await expect.poll(consumers).toEqual(['billing 1', 'orders 1']);
    const manager = await managerOf(fourth);
    await manager.streams.purge('bus');
    await expect.poll(consumers).toEqual(['billing 0', 'orders 0']);
    await expect.poll(isSettled).toBe(true);
    // Nothing moves in the stream by that, but the number of its consumers.
    await manager.consumers.delete('bus', 'billing');
    await expect.poll(consumers).toEqual(['orders 0']);
    meter.close();
    await connection.close();
  });

  test('finds between two looks at all whatever happens in an account, by asking for that one', async () => {
    const connection = systemConnection({ url: world.url, folder: world.natsFolder }, 'meter', log);
    onTestFinished(() => connection.close());
    const { asked, overheard } = overhear(connection);
    const never = { consumersEveryMs: Number.POSITIVE_INFINITY, allConsumersEveryMs: Number.POSITIVE_INFINITY };
    const meter = createMeter(overheard, async () => 1, log, { everyMs: { least: 20, most: 20 }, ...never });
    onTestFinished(() => meter.close());
    meter.subscribe(() => {});
    const truth = createMeter(connection, async () => 1, log);
    const figures = (lag: StreamLag | undefined) =>
      lag && [lag.account, lag.stream, lag.messages, lag.firstSequence, lag.lastSequence].join(' ');
    const isRight = async () => {
      const all = await truth.look();
      const found = all.map(({ account, stream }) => figures(meter.lag(account, stream)));
      return found.join() === all.map(figures).join();
    };
    const quiet = async () => {
      await expect.poll(isRight).toBe(true);
      const looks = () => asked.filter(({ accounts, streams }) => accounts && !streams).length;
      // Who sent something is looked at for a while; then it is over.
      const before = looks();
      await expect.poll(looks).toBeGreaterThan(before + 2);
    };
    const isOfAll = ({ accounts, streams }: Query) => accounts && streams;
    await expect.poll(() => asked.length > 10 && !asked.slice(-10).some(isOfAll)).toBe(true);
    const [one, two, three, four] = tenants as [WorldTenant, WorldTenant, WorldTenant, WorldTenant];
    await three.broker.ensureStream(bucketSpec('gateway'));
    const acts: (() => Promise<unknown>)[] = [
      () => store(one),
      () => store(three, '$KV.gateway.wake.x'),
      () => expect.poll(() => asked.slice(-10).every(({ account }) => account === undefined)).toBe(true),
      // As long as the one whose place it takes: no sum of bytes changes by that.
      () => store(three, '$KV.gateway.wake.x'),
      () => empty(one),
      () => two.broker.ensureStream(busSpec(['orders'])),
      () => Promise.all([store(two, 'bus.created'), store(three, '$KV.gateway.wake.x')]),
      async () => (await managerOf(two)).streams.delete('bus'),
      () => Promise.all([store(four), store(one), empty(two)]),
    ];
    asked.length = 0;
    for (const act of acts) {
      await act();
      await quiet();
    }
    await expect.poll(() => meter.lag(two.keys.account, 'bus')).toBeUndefined();
    expect(asked.filter(isOfAll)).toEqual([]);
    expect(asked.map(({ account }) => account)).not.toContain(tenants.at(-1)?.keys.account);
  });

  test('tells when NATS does not answer any more, and when it does again; a late answer is neither', async () => {
    const connection = systemConnection({ url: world.url, folder: world.natsFolder }, 'meter', log);
    onTestFinished(() => connection.close());
    let isAway = false;
    const cut = { ...connection, get: () => (isAway ? Promise.reject(new Error('cut')) : connection.get()) };
    const watched = (awayMs: number) => {
      const meter = createMeter(cut, async () => 1, log, { everyMs: { least: 10, most: 10 }, awayMs });
      onTestFinished(() => meter.close());
      const turns: boolean[] = [];
      meter.onTurn(() => {
        throw new Error('a listener that fails');
      });
      meter.onTurn(() => turns.push(isAway));
      meter.subscribe(() => {});
      return { meter, turns };
    };
    const hasty = watched(1);
    const patient = watched(600_000);
    for (const { meter } of [hasty, patient]) await expect.poll(() => meter.lookedAt()).toBeDefined();
    expect(hasty.turns).toEqual([]);
    for (isAway of [true, false]) {
      const failures = patient.meter.failures();
      if (isAway) await expect.poll(() => patient.meter.failures()).toBeGreaterThan(failures + 2);
      await expect.poll(() => hasty.turns.at(-1)).toBe(isAway);
    }
    expect(hasty.turns).toEqual([true, false]);
    const lookedAt = patient.meter.lookedAt() ?? 0;
    await expect.poll(() => patient.meter.lookedAt()).toBeGreaterThan(lookedAt);
    expect(patient.turns).toEqual([]);
  });

  test('calls with streams that are gone', async () => {
    const last = tenants.at(-1) as WorldTenant;
    const connection = systemConnection({ url: world.url, folder: world.natsFolder }, 'meter', log);
    const meter = createMeter(connection, async () => 1, log);
    const gone: string[] = [];
    meter.subscribe((report) => {
      gone.push(...report.gone.map(({ account, stream }) => `${account} ${stream}`));
    });
    await expect.poll(() => meter.lag(last.keys.account, 'inbox_orders'), { timeout: 60_000 }).toBeDefined();
    await (await jetstreamManager(await last.admin())).streams.delete('inbox_orders');
    await expect.poll(() => gone, { timeout: 60_000 }).toEqual([`${last.keys.account} inbox_orders`]);
    meter.close();
    await connection.close();
  });

  test('says whether accepted messages survive a power cut', async () => {
    expect((await world.broker.facts()).syncAlways).toBe(true);
  });
});
