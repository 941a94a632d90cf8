import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect, credsAuthenticator } from '@nats-io/transport-node';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectBroker } from '../../../operator/broker/nats-broker.ts';
import { tenantConnections } from '../../../operator/broker/tenant-connection.ts';
import { authority } from '../../cluster/pki.ts';
import { temporaryFolder } from '../../cluster/temporary.ts';
import { inboxSpec } from './specs.ts';
import { adminCreds, startWorld, type World, type WorldTenant } from './world.ts';

const log = pino({ level: 'silent' });
let world: World;
beforeAll(async () => {
  world = await startWorld({ monitor: true });
});
afterAll(() => world.stop());

/** Names of the clients that the server has now. */
const clients = async (): Promise<string[]> => {
  const answer = await fetch(`${world.monitorUrl}/connz`);
  const { connections } = (await answer.json()) as { connections: { name?: string }[] };
  return connections.map(({ name }) => name ?? '');
};

describe('connections into tenants', () => {
  test('are one per tenant however many ask at once, and closed when nobody asks any more', async () => {
    const tenants = await Promise.all(['a', 'b', 'c'].map((name) => world.tenant(name)));
    const others = await clients();
    const pool = tenantConnections({ url: world.url, folder: world.natsFolder }, log, 2_000);
    const keysOf = (index: number) => (tenants[index % 3] as WorldTenant).keys;
    const ask = (index: number) => pool.use(keysOf(index), 'test', ({ manager }) => manager.getAccountInfo());
    await Promise.all(Array.from({ length: 30 }, (_, index) => ask(index)));
    expect(pool.size).toBe(3);
    expect((await clients()).length).toBe(others.length + 3);
    await expect.poll(() => pool.size).toBe(0);
    await expect.poll(async () => (await clients()).length).toBe(others.length);
    // Asked for again, it comes again.
    expect(await ask(0)).toHaveProperty('streams');
    await pool.close();
    await expect.poll(async () => (await clients()).length).toBe(others.length);
    await expect(ask(0)).resolves.toBeDefined();
    await pool.close();
  });

  test('that fail leave nothing behind and work once the reason is gone', async () => {
    const pool = tenantConnections({ url: world.url, folder: world.natsFolder }, log, 50);
    const keys = world.broker.newAccountKeys();
    const ask = () => pool.use(keys, 'Account of d', ({ manager }) => manager.getAccountInfo());
    await expect(ask()).rejects.toMatchObject({ code: 'Denied' });
    await expect.poll(() => pool.size).toBe(0);
    const limits = { connections: 1, storage: 1024 ** 2, memory: 0, streams: 1, maxPayload: 1024 };
    await world.broker.ensureAccount('d', keys, limits, { suspended: false });
    expect(await ask()).toHaveProperty('streams');
    await pool.close();
  });

  test('use new keys after a rotation', async () => {
    const tenant = await world.tenant('rotated');
    const pool = tenantConnections({ url: world.url, folder: world.natsFolder }, log);
    await pool.use(tenant.keys, 'before', ({ manager }) => manager.getAccountInfo());
    const signing = { ...tenant.keys.signing, ops: world.broker.newAccountKeys().signing.ops };
    const renewed = { ...tenant.keys, signing };
    await world.broker.ensureAccount('rotated', renewed, tenant.limits, { suspended: false });
    expect(await pool.use(renewed, 'after', ({ manager }) => manager.getAccountInfo())).toHaveProperty('streams');
    await pool.close();
  });
});

describe('limits of an account', () => {
  test('on connections leave room for the operator', async () => {
    const tenant = await world.tenant('few', { connections: 2 });
    await tenant.broker.ensureStream(inboxSpec('orders'));
    const pods = [await tenant.admin(), await tenant.admin()];
    expect(await tenant.broker.streams()).toHaveLength(1);
    // The control: two more than the tenant's own are the operator's room; the next one is too many.
    await tenant.admin();
    const authenticator = credsAuthenticator(new TextEncoder().encode(adminCreds(tenant.keys)));
    await expect(connect({ servers: world.url, authenticator, reconnect: false, timeout: 3000 })).rejects.toThrow();
    expect(pods.every((pod) => !pod.isClosed())).toBe(true);
  });

  test('on the size of a message reach its clients', async () => {
    const tenant = await world.tenant('short', { maxPayload: 1000 });
    const admin = await tenant.admin();
    expect(admin.info?.max_payload).toBe(1000);
    expect(() => admin.publish('x', new Uint8Array(1001))).toThrow(/max_payload/);
    expect(() => admin.publish('x', new Uint8Array(1000))).not.toThrow();
  });
});

test('TLS is used when its CA is mounted, and refused when it is another one', async () => {
  const dir = await temporaryFolder('tls');
  const own = await authority(join(dir, 'own'));
  const { cert, key } = await own.issue({ name: 'nats', commonName: 'nats', names: ['DNS:localhost'] });
  await using secured = await startWorld({ config: `tls { cert_file: "${cert}", key_file: "${key}" }` });
  const url = secured.url.replace('nats://127.0.0.1', 'tls://localhost');
  await copyFile(own.ca, join(secured.natsFolder, 'ca.crt'));
  const broker = await connectBroker({ url, folder: secured.natsFolder, log });
  const keys = broker.newAccountKeys();
  const limits = { connections: 5, storage: 1024 ** 2, memory: 0, streams: 5, maxPayload: 1024 ** 2 };
  expect(await broker.ensureAccount('safe', keys, limits, { suspended: false })).toMatchObject({ inSync: true });
  await broker.close();
  const foreign = await authority(join(dir, 'foreign'));
  await copyFile(foreign.ca, join(secured.natsFolder, 'ca.crt'));
  const deceived = await connectBroker({ url, folder: secured.natsFolder, log });
  await expect(deceived.ensureAccount('safe', keys, limits, { suspended: false })).rejects.toMatchObject({
    code: 'Unreachable',
    cause: expect.objectContaining({ message: expect.stringMatching(/certificate|signature/i) }),
  });
  await deceived.close();
});
