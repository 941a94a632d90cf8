import { jetstream } from '@nats-io/jetstream';
import type { KeyPair } from '@nats-io/nkeys';
import { connect, credsAuthenticator } from '@nats-io/transport-node';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { makeOperator } from '../../../operator/broker/bootstrap.ts';
import { accountClaimsOf, encodeClaims } from '../../../operator/broker/claims.ts';
import { makeUser } from '../../../operator/broker/credentials.ts';
import { keyFromSeed } from '../../../operator/broker/keys.ts';
import { connectBroker } from '../../../operator/broker/nats-broker.ts';
import type { AccountKeys } from '../../../operator/reconcile/ports.ts';
import { inboxPrefix } from '../../../runtime/nats/names.ts';
import { bucketSpec, inboxSpec } from './specs.ts';
import { adminCreds, connectWith, startWorld, type World, type WorldTenant } from './world.ts';

const silent = pino({ level: 'silent' });
let world: World;
beforeAll(async () => {
  world = await startWorld({ monitor: true, jetstream: 'max_file: 20G' });
});
afterAll(() => world.stop());

const healthz = async (): Promise<number> => (await fetch(`${world.monitorUrl}/healthz`)).status;
const seconds = () => Math.floor(Date.now() / 1000);

/** Raw push as somebody with stolen system credentials would do it. */
const pushRaw = async (jwt: string): Promise<string> => {
  const ctl = await connectWith(world.url, world.material.ctlCreds, '_INBOX_ctl');
  const answer = await ctl.request('$SYS.REQ.CLAIMS.UPDATE', jwt, { timeout: 60_000 });
  await ctl.close();
  return answer.string();
};
const store = async (tenant: WorldTenant, text: string): Promise<number> => {
  const admin = await tenant.admin();
  const ack = await jetstream(admin).publish('inbox.orders.0.shop', text);
  return ack.seq;
};
const stored = async (tenant: WorldTenant): Promise<number> =>
  (await tenant.broker.streams()).reduce((sum, { messages }) => sum + messages, 0);

describe('an account', () => {
  test('is pushed once and found in sync afterwards', async () => {
    const tenant = await world.tenant('steady');
    const state = await world.broker.ensureAccount('steady', tenant.keys, tenant.limits, { suspended: false });
    expect(state).toEqual({ id: tenant.keys.account, serversAcked: 1, serversTotal: 1, inSync: true });
  });

  const strangers: readonly (readonly [string, (keys: AccountKeys) => KeyPair])[] = [
    ['another operator', () => keyFromSeed(makeOperator().signingSeed)],
    ['the account itself', (keys) => keyFromSeed(keys.accountSeed)],
  ];
  test.each(strangers)('signed by %s is detected and mended: the server says 200 to both', async (who, signerOf) => {
    const name = `by-${who.replaceAll(' ', '-')}`;
    const tenant = await world.tenant(name);
    const claims = accountClaimsOf(tenant.keys, { ...tenant.limits, connections: 1000 }, false);
    const jwt = encodeClaims(
      claims,
      { name, subject: tenant.keys.account, issuedAt: seconds() + 100 },
      signerOf(tenant.keys),
    );
    expect(JSON.parse(await pushRaw(jwt))).toMatchObject({ data: { code: 200 } });
    // The control: left like this, nobody of the tenant gets in after the next restart.
    await world.restart();
    await expect(connectWithoutRetry(tenant)).rejects.toThrow(/authorization/i);
    const state = await world.broker.ensureAccount(name, tenant.keys, tenant.limits, { suspended: false });
    expect(state.inSync).toBe(true);
    const connection = await connectWithoutRetry(tenant);
    await connection.close();
  });

  test('with a token of ours that is newer but different is pushed again with a newer time', async () => {
    const tenant = await world.tenant('newer');
    const signer = keyFromSeed(world.material.signingSeed);
    const claims = accountClaimsOf(tenant.keys, { ...tenant.limits, connections: 1 }, false);
    await pushRaw(
      encodeClaims(claims, { name: 'newer', subject: tenant.keys.account, issuedAt: seconds() + 500 }, signer),
    );
    const state = await world.broker.ensureAccount('newer', tenant.keys, tenant.limits, { suspended: false });
    expect(state.inSync).toBe(true);
  });

  test('is refused without storage, because that would take its streams away', async () => {
    const tenant = await world.tenant('nothing');
    const none = { ...tenant.limits, storage: 0 };
    await expect(world.broker.ensureAccount('nothing', tenant.keys, none, { suspended: false })).rejects.toMatchObject({
      code: 'Invalid',
    });
  });

  test('that the servers have no room for is reported, though they say 200', async () => {
    const keys = world.broker.newAccountKeys();
    const limits = { connections: 10, storage: 10 * 1024 ** 4, memory: 0, streams: 10, maxPayload: 1024 ** 2 };
    await expect(world.broker.ensureAccount('huge', keys, limits, { suspended: false })).rejects.toMatchObject({
      code: 'Insufficient',
    });
    const fitting = await world.broker.ensureAccount(
      'huge',
      keys,
      { ...limits, storage: 1024 ** 2 },
      { suspended: false },
    );
    expect(fitting.inSync).toBe(true);
  });
});

/** One login, not repeated. */
const connectWithoutRetry = (tenant: WorldTenant) =>
  connect({
    servers: world.url,
    authenticator: credsAuthenticator(new TextEncoder().encode(adminCreds(tenant.keys))),
    reconnect: false,
    timeout: 60_000,
  });

describe('suspending', () => {
  test('leaves pods with work their account, and opens none again for them', async () => {
    const tenant = await world.tenant('busy');
    const suspend = (drained: boolean) =>
      world.broker.ensureAccount('busy', tenant.keys, tenant.limits, { suspended: true, drained });
    const enter = async () => (await connectWithoutRetry(tenant)).close();
    await suspend(false);
    await enter();
    await suspend(true);
    await expect(enter()).rejects.toThrow();
    await suspend(false);
    await expect(enter()).rejects.toThrow();
  });

  test('drops live clients, refuses new ones, keeps every stored message and the servers healthy, and ends', async () => {
    const tenant = await world.tenant('sleeper');
    await tenant.broker.ensureStream(inboxSpec('orders'));
    await store(tenant, 'kept');
    const worker = await tenant.connect('worker', 'orders');
    const dropped = new Promise<void>((resolve) => {
      void (async () => {
        for await (const status of worker.status()) if (status.type === 'disconnect') resolve();
      })();
    });
    const state = await world.broker.ensureAccount('sleeper', tenant.keys, tenant.limits, { suspended: true });
    expect(state.inSync).toBe(true);
    await dropped;
    // The server's reason does not always arrive before it hangs up.
    await expect(connectWithoutRetry(tenant)).rejects.toThrow();
    await expect(tenant.broker.streams()).rejects.toMatchObject({ code: 'Denied' });
    expect(await healthz()).toBe(200);
    await world.restart();
    expect(await healthz()).toBe(200);
    await world.broker.ensureAccount('sleeper', tenant.keys, tenant.limits, { suspended: false });
    expect(await stored(tenant)).toBe(1);
    await (await connectWithoutRetry(tenant)).close();
  });
});

describe('deleting', () => {
  test('is refused while streams exist, unless they are to go too; then nothing is left, restart or not', async () => {
    const tenant = await world.tenant('leaver');
    await tenant.broker.ensureStream(inboxSpec('orders'));
    await tenant.broker.ensureStream(bucketSpec('gateway'));
    await store(tenant, 'to be deleted');
    await expect(world.broker.deleteAccount('leaver', tenant.keys, { purgeStreams: false })).rejects.toMatchObject({
      code: 'Invalid',
    });
    await world.broker.deleteAccount('leaver', tenant.keys, { purgeStreams: true });
    await expect(connectWithoutRetry(tenant)).rejects.toThrow(/authorization/i);
    expect(await healthz()).toBe(200);
    await world.restart();
    expect(await healthz()).toBe(200);
    await expect(connectWithoutRetry(tenant)).rejects.toThrow(/authorization/i);
    // Again: nothing to do, no error.
    await world.broker.deleteAccount('leaver', tenant.keys, { purgeStreams: true });
  });

  test('works for a suspended account', async () => {
    const tenant = await world.tenant('asleep');
    await tenant.broker.ensureStream(inboxSpec('orders'));
    await world.broker.ensureAccount('asleep', tenant.keys, tenant.limits, { suspended: true });
    await world.broker.deleteAccount('asleep', tenant.keys, { purgeStreams: true });
    await expect(connectWithoutRetry(tenant)).rejects.toThrow(/authorization/i);
    expect(await world.broker.meter.look()).not.toContainEqual(
      expect.objectContaining({ account: tenant.keys.account }),
    );
  });
});

test('an account that comes back after its deletion is deleted again', async () => {
  const broker = await connectBroker({ url: world.url, folder: world.natsFolder, log: silent, recheckMs: 3_000 });
  const keys = broker.newAccountKeys();
  const limits = { connections: 5, storage: 1024 ** 2, memory: 0, streams: 5, maxPayload: 1024 ** 2 };
  await broker.ensureAccount('ghost', keys, limits, { suspended: false });
  await broker.deleteAccount('ghost', keys, { purgeStreams: true });
  // What a server that was away would bring back.
  const signer = keyFromSeed(world.material.signingSeed);
  const about = { name: 'ghost', subject: keys.account, issuedAt: seconds() };
  await pushRaw(encodeClaims(accountClaimsOf(keys, limits, false), about, signer));
  const known = async () => {
    const ctl = await connectWith(world.url, world.material.ctlCreds, '_INBOX_ctl');
    const answer = await ctl.request('$SYS.REQ.CLAIMS.LIST');
    await ctl.close();
    return answer.json<{ data: string[] }>().data.includes(keys.account);
  };
  expect(await known()).toBe(true);
  await expect.poll(known, { timeout: 60_000 }).toBe(false);
  await broker.close();
});

describe('users', () => {
  test('need a tag that the templates can use: without it the server would silently drop those rules', async () => {
    const keys = world.broker.newAccountKeys();
    const owners = ['', 'Orders', 'a.b', 'a b', '*', '-a'].map((name) => ({ name, uid: 'uid-of-it' }));
    for (const integration of [undefined, ...owners])
      await expect(world.broker.credentials(keys, 'worker', integration, 1000)).rejects.toMatchObject({
        code: 'Invalid',
      });
  });

  test('are dropped when a role gets a new key, and only those of that role', async () => {
    const tenant = await world.tenant('rotating');
    const worker = await tenant.connect('worker', 'orders');
    const gateway = await tenant.connect('gateway');
    const gatewaySaw: string[] = [];
    void (async () => {
      for await (const status of gateway.status()) gatewaySaw.push(status.type);
    })();
    const renewed = {
      ...tenant.keys,
      signing: { ...tenant.keys.signing, worker: world.broker.newAccountKeys().signing.worker },
    };
    const left = new Promise<void>((resolve) => {
      void (async () => {
        for await (const status of worker.status()) if (status.type === 'disconnect') resolve();
      })();
    });
    await world.broker.ensureAccount('rotating', renewed, tenant.limits, { suspended: false });
    await left;
    await gateway.flush();
    expect(gatewaySaw).not.toContain('disconnect');
    await expect(
      connectWith(world.url, makeUser(tenant.keys, 'worker', 'orders', 60_000).creds, inboxPrefix('worker', 'orders')),
    ).rejects.toThrow();
  });

  test('with expired credentials come back by themselves when the file is renewed', async () => {
    const tenant = await world.tenant('expiring');
    const expiring = makeUser(tenant.keys, 'gateway', undefined, 2_000).creds;
    let creds = expiring;
    // The server counts in seconds: in the last one it lets the old file in, and puts it out at once.
    let shown = '';
    const connection = await connect({
      servers: world.url,
      authenticator: credsAuthenticator(() => {
        shown = creds;
        return new TextEncoder().encode(creds);
      }),
      inboxPrefix: inboxPrefix('gateway'),
      ignoreAuthErrorAbort: true,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 50,
    });
    const seen: string[] = [];
    void (async () => {
      for await (const { type } of connection.status()) {
        seen.push(type === 'reconnect' && shown !== expiring ? 'renewed' : type);
      }
    })();
    // Stays away for several attempts with the old file: the client must not give up.
    await vi.waitFor(() => expect(seen.filter((type) => type === 'reconnecting').length).toBeGreaterThan(3), 60_000);
    creds = makeUser(tenant.keys, 'gateway', undefined, 60_000).creds;
    await vi.waitFor(() => expect(seen).toContain('renewed'), 60_000);
    await connection.flush();
    await connection.close();
  });
});

describe('the broker', () => {
  test('says Unreachable while NATS is away and works again afterwards without being made anew', async () => {
    const tenant = await world.tenant('outage');
    await tenant.broker.streams();
    await world.kill();
    await expect(tenant.broker.streams()).rejects.toMatchObject({ code: 'Unreachable' });
    await expect(
      world.broker.ensureAccount('outage', tenant.keys, tenant.limits, { suspended: false }),
    ).rejects.toMatchObject({ code: 'Unreachable' });
    await world.start();
    expect(await tenant.broker.streams()).toEqual([]);
    expect((await world.tenant('outage')).keys.account).toBe(tenant.keys.account);
  });

  test('can be made while nothing answers', async () => {
    const broker = await connectBroker({
      url: 'nats://127.0.0.1:1',
      folder: world.natsFolder,
      log: silent,
    });
    await expect(broker.facts()).rejects.toMatchObject({ code: 'Unreachable' });
    await broker.close();
  });

  test('tells the server facts', async () => {
    const facts = await world.broker.facts();
    expect(facts).toMatchObject({ maxPayload: 1024 ** 2, syncAlways: false });
    expect(facts.version).toMatch(/^2\.\d+\.\d+/);
  });
});

test('system users may do their part only', async () => {
  const meter = await connectWith(world.url, world.material.meterCreds, '_INBOX_meter');
  const ctl = await connectWith(world.url, world.material.ctlCreds, '_INBOX_ctl');
  await expect(meter.request('$SYS.REQ.CLAIMS.UPDATE', 'x')).rejects.toThrow(/permissions violation/i);
  await expect(meter.request('$SYS.REQ.CLAIMS.LIST')).rejects.toThrow(/permissions violation/i);
  await expect(ctl.request('$SYS.REQ.SERVER.PING.CONNZ')).rejects.toThrow(/permissions violation/i);
  await expect(ctl.request('$SYS.REQ.SERVER.RELOAD')).rejects.toThrow(/permissions violation/i);
  await meter.close();
  await ctl.close();
});
