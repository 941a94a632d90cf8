import { type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeToken } from '../../../operator/broker/claims.ts';
import { systemConnection } from '../../../operator/broker/connection.ts';
import { createServers } from '../../../operator/broker/servers.ts';
import { inboxPrefix } from '../../../runtime/nats/names.ts';
import { bodySpec, bucketSpec, busSpec, deadLetterSpec, inboxSpec, tickSpec } from './specs.ts';
import { connectWith, startWorld, type World, type WorldTenant } from './world.ts';

/* What goes of an Integration: everything that is its own on a real server, and nothing of its neighbour, whose name begins alike. */
let world: World;
let acme: WorldTenant;
let manager: JetStreamManager;
let managing: NatsConnection | undefined;
const openManager = async () => {
  await managing?.close();
  managing = await acme.admin();
  manager = await jetstreamManager(managing);
};
const names = ['orders', 'orders-2'];
const lifetimeMs = 3_600_000;
const own = (name: string) => ({ name, uid: `uid-of-${name}` });
const routes = (integration: string) => ({
  version: 1 as const,
  tenant: 'acme',
  namespace: 'acme',
  integration,
  uid: 'uid-1',
  generation: 1,
  suspended: false,
  partitions: 1,
  sources: [],
});
const fill = async () => {
  for (const spec of names.flatMap((name) => [
    inboxSpec(name),
    deadLetterSpec(name),
    bodySpec(name, { maxBytes: 2 ** 20 }),
  ]))
    await acme.broker.ensureStream(spec);
  for (const spec of [bucketSpec('state'), bucketSpec('gateway'), busSpec(names), tickSpec(names)])
    await acme.broker.ensureStream(spec);
  // An admin's login comes back by itself into an account that is open for the operator alone, and would take its place.
  const admin = await acme.admin();
  const js = jetstream(admin);
  for (const name of names) {
    await js.publish(`inbox.${name}.0.shop`, 'x');
    await js.publish(`$KV.state.${name}.m.inbox_${name}.1`, '{}');
    await acme.broker.putRoutes(routes(name));
  }
  await admin.close();
};
/** Names and keys of everything in the account that is one Integration's. */
const present = async () => {
  const streams = (await acme.broker.streams()).flatMap(({ name, consumers }) =>
    names.some((own) => name.endsWith(`_${own}`)) ? [name] : consumers.map((each) => `${name}/${each.name}`),
  );
  const { state } = await manager.streams.info('KV_state', { subjects_filter: '>' });
  return [...streams, ...Object.keys(state.subjects ?? {})].sort();
};
const of = (name: string) =>
  [
    `inbox_${name}`,
    `dlq_${name}`,
    `body_${name}`,
    `bus/${name}`,
    `tick/${name}`,
    `$KV.state.${name}.m.inbox_${name}.1`,
  ].sort();
const route = async (name: string) => {
  const found = await manager.direct.getMessage('KV_gateway', { last_by_subj: `$KV.gateway.routes.${name}` });
  return found !== null && !found.header.has('KV-Operation');
};

beforeAll(async () => {
  world = await startWorld();
  acme = await world.tenant('acme');
  await openManager();
});
afterAll(() => world.stop());

describe('an Integration that is released', () => {
  test('loses its routes and its place in the ticks; its messages stay', async () => {
    await fill();
    await world.broker.releaseIntegration('acme', acme.keys, own('orders'), { messages: false, lifetimeMs });
    const stay = of('orders').filter((what) => what !== 'tick/orders');
    expect(await present()).toEqual([...stay, ...of('orders-2')].sort());
    expect([await route('orders'), await route('orders-2')]).toEqual([false, true]);
  });

  test('loses its messages, consumers and state when they go, too; again changes nothing', async () => {
    for (let time = 0; time < 2; time += 1) {
      await world.broker.releaseIntegration('acme', acme.keys, own('orders'), { messages: true, lifetimeMs });
      expect(await present()).toEqual(of('orders-2'));
      expect(await route('orders-2')).toBe(true);
    }
  });

  test('loses them in a closed account, which nobody else gets into meanwhile or after', async () => {
    await fill();
    await managing?.close();
    await world.broker.ensureAccount('acme', acme.keys, acme.limits, { suspended: true });
    await expect(acme.broker.streams()).rejects.toMatchObject({ code: 'Denied' });
    await world.broker.releaseIntegration('acme', acme.keys, own('orders'), { messages: true, lifetimeMs });
    await expect(acme.broker.streams()).rejects.toMatchObject({ code: 'Denied' });
    const { inSync } = await world.broker.ensureAccount('acme', acme.keys, acme.limits, { suspended: true });
    expect(inSync).toBe(true);
    await world.broker.ensureAccount('acme', acme.keys, acme.limits, { suspended: false });
    await openManager();
    expect(await present()).toEqual(of('orders-2'));
  });

  test('has nothing to lose in an account that is not there, or has nothing in it', async () => {
    const keys = world.broker.newAccountKeys();
    await world.broker.releaseIntegration('nobody', keys, own('orders'), { messages: true, lifetimeMs });
    const bare = await world.tenant('bare');
    await world.broker.releaseIntegration('bare', bare.keys, own('orders'), { messages: true, lifetimeMs });
  });

  test('waits for NATS', async () => {
    await world.kill();
    const release = world.broker.releaseIntegration('acme', acme.keys, own('orders-2'), { messages: true, lifetimeMs });
    await expect(release).rejects.toMatchObject({ code: 'Unreachable' });
    await world.start();
    await expect
      .poll(
        () =>
          world.broker.releaseIntegration('acme', acme.keys, own('orders-2'), { messages: true, lifetimeMs }).then(
            () => 'done',
            ({ code }: { code: string }) => code,
          ),
        { timeout: 60_000 },
      )
      .toBe('done');
    await openManager();
    expect(await present()).toEqual([]);
  });
});

describe('logins of an Integration that is released with its messages', () => {
  const uids = { orders: 'uid-one', again: 'uid-two' };
  let copy: string;
  const issued = async (name: string, uid: string) =>
    (await world.broker.credentials(acme.keys, 'worker', { name, uid }, lifetimeMs)).creds;
  const logsIn = async (creds: string, name = 'orders'): Promise<boolean> => {
    const authenticator = credsAuthenticator(new TextEncoder().encode(creds));
    const opened = await connect({
      servers: world.url,
      authenticator,
      inboxPrefix: inboxPrefix('worker', name),
      reconnect: false,
      timeout: 60_000,
    }).catch((error: Error) => error);
    if (opened instanceof Error) {
      expect(opened.message).toMatch(/authorization/i);
      return false;
    }
    await opened.close();
    return true;
  };
  const release = (name: string, uid: string) =>
    world.broker.releaseIntegration('acme', acme.keys, { name, uid }, { messages: true, lifetimeMs });

  test('end, also those that were copied, or issued by another operator; its neighbour keeps its own', async () => {
    copy = await issued('orders', uids.orders);
    const neighbour = await issued('orders-2', 'uid-of-another');
    const working = await connectWith(world.url, copy, inboxPrefix('worker', 'orders'));
    const seen: string[] = [];
    void (async () => {
      for await (const { type } of working.status()) seen.push(type);
    })();
    expect(await logsIn(copy)).toBe(true);
    await release('orders', uids.orders);
    await expect.poll(() => seen, { timeout: 60_000 }).toContain('disconnect');
    await working.close();
    expect(await logsIn(copy)).toBe(false);
    expect(await logsIn(await issued('orders', uids.orders))).toBe(false);
    expect(await logsIn(neighbour, 'orders-2')).toBe(true);
  });

  test('work for one that is made again under its name', async () => {
    expect(await logsIn(await issued('orders', uids.again))).toBe(true);
  });

  test('stay ended: other limits, a suspended tenant, another release, a new NATS server', async () => {
    await managing?.close();
    await world.tenant('acme', { connections: 50 });
    await world.broker.ensureAccount('acme', acme.keys, acme.limits, { suspended: true });
    await release('orders-2', 'uid-while-closed');
    await world.broker.ensureAccount('acme', acme.keys, acme.limits, { suspended: false });
    await world.restart();
    await expect
      .poll(() => world.broker.ensureAccount('acme', acme.keys, acme.limits, { suspended: false }), { timeout: 60_000 })
      .toMatchObject({ inSync: true });
    for (const [name, uid] of [
      ['orders', uids.orders],
      ['orders-2', 'uid-while-closed'],
    ] as const)
      expect(await logsIn(await issued(name, uid), name), uid).toBe(false);
    expect(await logsIn(await issued('orders', uids.again))).toBe(true);
  });

  test('are kept in the account no longer than they could live', async () => {
    await world.broker.releaseIntegration('acme', acme.keys, own('short'), { messages: true, lifetimeMs: 2_000 });
    const endpoint = { url: world.url, folder: world.natsFolder };
    const log = pino({ level: 'silent' });
    const ctl = systemConnection(endpoint, 'ctl', log);
    const meter = systemConnection(endpoint, 'meter', log);
    const servers = createServers(ctl, meter);
    const revoked = async () => {
      await world.broker.ensureAccount('acme', acme.keys, acme.limits, { suspended: false });
      const [token = ''] = await servers.lookup(acme.keys.account);
      return Object.keys((decodeToken(token)?.nats['revocations'] as object | undefined) ?? {}).length;
    };
    const all = await revoked();
    await expect.poll(revoked, { timeout: 60_000 }).toBeLessThan(all);
    expect(await revoked()).toBeGreaterThan(0);
    await Promise.all([ctl.close(), meter.close()]);
  });
});

test('routes of Integrations that are gone are swept; one that comes back meanwhile keeps its own', async () => {
  await openManager();
  await fill();
  expect(await acme.broker.sweepRoutes(() => new Set(['orders']))).toEqual(['orders-2']);
  expect([await route('orders'), await route('orders-2')]).toEqual([true, false]);
  expect(await acme.broker.sweepRoutes(() => new Set(['orders']))).toEqual([]);
  let looks = 0;
  // Gone when they are asked for and at the first look, there at the second.
  expect(await acme.broker.sweepRoutes(() => (++looks > 2 ? new Set(['orders', 'orders-2']) : new Set()))).toEqual([]);
  expect(await route('orders')).toBe(true);
});
