import { join } from 'node:path';
import { jetstream } from '@nats-io/jetstream';
import { connect, credsAuthenticator } from '@nats-io/transport-node';
import pino from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { makeOperator, resolverConfig } from '../../../operator/broker/bootstrap.ts';
import { encodeClaims } from '../../../operator/broker/claims.ts';
import { systemConnection } from '../../../operator/broker/connection.ts';
import { keyFromSeed } from '../../../operator/broker/keys.ts';
import { connectBroker, type NatsBroker } from '../../../operator/broker/nats-broker.ts';
import { createServers, type Servers } from '../../../operator/broker/servers.ts';
import type { AccountKeys } from '../../../operator/reconcile/ports.ts';
import type { NatsServer } from '../../cluster/nats.ts';
import { startNatsCluster } from '../../cluster/nats-cluster.ts';
import { temporaryFolder } from '../../cluster/temporary.ts';
import { inboxSpec } from './specs.ts';
import { adminCreds, writeOperatorFolder } from './world.ts';

/*
 * Three servers, of which one is away now and then. They compare their tokens every two seconds here, so that what a returning server
 * brings back shows soon.
 */
const log = pino({ level: 'silent' });
const material = makeOperator();
const limits = { connections: 20, storage: 64 * 1024 ** 2, memory: 0, streams: 10, maxPayload: 1024 ** 2 };
let nodes: NatsServer[];
let broker: NatsBroker;
let servers: Servers;

beforeAll(async () => {
  nodes = await startNatsCluster((dir) => resolverConfig(material, join(dir, 'jwt'), 2));
  const folder = await temporaryFolder('operator');
  await writeOperatorFolder(folder, material);
  const url = nodes.map((node) => node.url).join(',');
  broker = await connectBroker({ url, folder, log });
  servers = createServers(
    systemConnection({ url, folder }, 'ctl', log),
    systemConnection({ url, folder }, 'meter', log),
  );
  await vi.waitFor(async () => expect(await servers.count()).toBe(3), { timeout: 60_000, interval: 500 });
});
beforeEach(async () => {
  await last().start();
});
afterAll(async () => {
  await broker?.close();
  await Promise.all((nodes ?? []).map((node) => node.close()));
});

/** The cluster elects leaders first. */
const made = async (name: string): Promise<AccountKeys> => {
  const keys = broker.newAccountKeys();
  const ensure = () =>
    broker.ensureAccount(name, keys, limits, { suspended: false }).catch((error: Error) => ({ inSync: error.message }));
  await expect.poll(async () => (await ensure()).inSync, { timeout: 60_000, interval: 500 }).toBe(true);
  return keys;
};
const login = async (node: NatsServer, keys: AccountKeys): Promise<boolean> => {
  try {
    const authenticator = credsAuthenticator(new TextEncoder().encode(adminCreds(keys)));
    const connection = await connect({ servers: node.url, authenticator, reconnect: false, timeout: 3000 });
    await connection.close();
    return true;
  } catch {
    return false;
  }
};
const logins = (keys: AccountKeys) => Promise.all(nodes.map((node) => login(node, keys)));
const tokens = async (keys: AccountKeys) => (await servers.lookup(keys.account)).filter((jwt) => jwt !== '');
const removal = (keys: AccountKeys) => {
  const signer = keyFromSeed(material.signingSeed);
  return encodeClaims(
    { type: 'generic', version: 2, accounts: [keys.account] },
    { name: 'x', subject: signer.getPublicKey(), issuedAt: Math.floor(Date.now() / 1000) },
    signer,
  );
};
const last = () => nodes[2] as NatsServer;

// Elections, and a server that comes back, take their time on a busy machine; nothing here waits longer than for its condition.
describe('a cluster', { timeout: 240_000 }, () => {
  test('has the account on every server', async () => {
    const keys = await made('everywhere');
    expect(await broker.ensureAccount('everywhere', keys, limits, { suspended: false })).toMatchObject({
      serversAcked: 3,
      serversTotal: 3,
      inSync: true,
    });
    expect(await logins(keys)).toEqual([true, true, true]);
  });

  test('with a server away says so, and that one catches up when it is back', async () => {
    const keys = await made('catching-up');
    await last().kill();
    const more = { ...limits, connections: 30 };
    // When it was the leader, JetStream elects another one first.
    const ensured = () =>
      broker.ensureAccount('catching-up', keys, more, { suspended: false }).catch((error: Error) => error.message);
    await expect
      .poll(ensured, { timeout: 60_000, interval: 500 })
      .toMatchObject({ serversAcked: 2, serversTotal: 3, inSync: false });
    await last().start();
    await expect.poll(ensured, { timeout: 60_000, interval: 500 }).toMatchObject({ serversAcked: 3, inSync: true });
  });

  test('the control: an account deleted while a server is away comes back with it', async () => {
    const keys = await made('resurrected');
    await last().kill();
    const verdict = await servers.remove(removal(keys));
    expect(verdict.acked).toBe(2);
    expect((await logins(keys)).slice(0, 2)).toEqual([false, false]);
    await last().start();
    await expect.poll(() => login(last(), keys), { timeout: 60_000, interval: 500 }).toBe(true);
  });

  test('an account deleted by us while a server is away stays dead, and goes when that one is back', async () => {
    const keys = await made('ended');
    const tenant = broker.tenant(keys);
    await expect
      .poll(() => tenant.ensureStream(inboxSpec('orders', { replicas: 3 })).then(({ name }) => name, String), {
        timeout: 60_000,
      })
      .toBe('inbox_orders');
    await last().kill();
    const remove = () => broker.deleteAccount('ended', keys, { purgeStreams: true });
    // First the cluster may have to elect a leader; then the server that is away is the reason.
    await expect
      .poll(() => remove().catch((error: Error) => error.message), { timeout: 60_000, interval: 500 })
      .toMatch(/2 of 3 NATS servers/);
    expect((await logins(keys)).slice(0, 2)).toEqual([false, false]);
    await last().start();
    // Its old token is newer than nothing, and older than the tombstone that the others have.
    await expect.poll(() => logins(keys), { timeout: 60_000, interval: 500 }).toEqual([false, false, false]);
    await expect.poll(() => remove().then(() => 'done', String), { timeout: 60_000, interval: 500 }).toBe('done');
    expect(await tokens(keys)).toEqual([]);
    // Once more through the moment at which it could come back: the next comparison of all three.
    await last().stop();
    await last().start();
    const marker = await made('after');
    await expect.poll(() => tokens(marker).then(({ length }) => length), { timeout: 60_000 }).toBe(3);
    expect(await tokens(keys)).toEqual([]);
    expect(await logins(keys)).toEqual([false, false, false]);
    const health = () => Promise.all(nodes.map(async (node) => (await fetch(`${node.monitorUrl}/healthz`)).status));
    await expect.poll(health, { timeout: 60_000, interval: 500 }).toEqual([200, 200, 200]);
  });

  test('tells what waits by the leader of each stream, once', async () => {
    const keys = await made('measured');
    const tenant = broker.tenant(keys);
    await expect
      .poll(() => tenant.ensureStream(inboxSpec('orders', { replicas: 3 })).then(({ name }) => name, String), {
        timeout: 60_000,
      })
      .toBe('inbox_orders');
    const authenticator = credsAuthenticator(new TextEncoder().encode(adminCreds(keys)));
    const admin = await connect({ servers: nodes[0]?.url ?? '', authenticator });
    for (let i = 0; i < 20; i += 1) await jetstream(admin).publish('inbox.orders.0.shop', 'x');
    await admin.close();
    const lag = async () => (await broker.meter.look()).filter(({ account }) => account === keys.account);
    await expect
      .poll(lag, { timeout: 60_000 })
      .toMatchObject([{ stream: 'inbox_orders', messages: 20, consumers: [{ name: 'worker-0', pending: 20 }] }]);
  });
});
