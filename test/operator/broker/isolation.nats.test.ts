import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deadLetterSpec, inboxSpec } from './specs.ts';
import { startWorld, type World, type WorldTenant } from './world.ts';

/*
 * Two tenants with the same names everywhere. The other tenant is tried with a user that may do everything in its own account: what it
 * cannot reach, nobody of it can.
 */
let world: World;
let acme: WorldTenant;
let globex: WorldTenant;
let owner: NatsConnection;
let stranger: NatsConnection;

beforeAll(async () => {
  world = await startWorld();
  acme = await world.tenant('acme');
  globex = await world.tenant('globex');
  owner = await acme.admin();
  stranger = await globex.admin();
  await acme.broker.ensureStream(inboxSpec('orders'));
  await acme.broker.ensureStream(deadLetterSpec('orders'));
  await jetstream(owner).publish('inbox.orders.0.shop', 'of acme');
  await jetstream(owner).publish('dlq.orders.erp', 'of acme');
});
afterAll(() => world.stop());

describe('another tenant', () => {
  test('sees no streams', async () => {
    const manager = await jetstreamManager(stranger);
    expect(await manager.streams.list().next()).toEqual([]);
    expect(await (await jetstreamManager(owner)).streams.list().next()).toHaveLength(2);
  });

  const reads: readonly (readonly [string, string])[] = [
    ['$JS.API.STREAM.INFO.inbox_orders', ''],
    ['$JS.API.STREAM.MSG.GET.inbox_orders', '{"seq":1}'],
    ['$JS.API.CONSUMER.INFO.inbox_orders.worker-0', ''],
    ['$JS.API.STREAM.PURGE.dlq_orders', ''],
    ['$JS.API.STREAM.DELETE.dlq_orders', ''],
  ];
  test.each(reads)('gets "not found" for %s, and the owner an answer', async (subject, payload) => {
    const ask = async (connection: NatsConnection) =>
      (await connection.request(subject, payload, { timeout: 60_000 })).json<{ error?: { err_code: number } }>();
    expect([10059, 10014]).toContain((await ask(stranger)).error?.err_code);
    expect((await ask(owner)).error).toBeUndefined();
    await acme.broker.ensureStream(deadLetterSpec('orders'));
  });

  test.each([
    'inbox.orders.0.shop',
    '$JS.API.DIRECT.GET.dlq_orders',
    '$JS.API.CONSUMER.MSG.NEXT.inbox_orders.worker-0',
  ])('meets nobody at %s', async (subject) => {
    await expect(stranger.request(subject, '{}', { timeout: 1000 })).rejects.toThrow(/no responders/i);
  });

  test('hears nothing of what the owner sends, stores or is answered', async () => {
    const heard = (connection: NatsConnection) => {
      const subjects: string[] = [];
      connection.subscribe('>', { callback: (_, message) => void subjects.push(message.subject) });
      return subjects;
    };
    const own = heard(owner);
    const foreign = heard(stranger);
    await Promise.all([owner.flush(), stranger.flush()]);
    await jetstream(owner).publish('inbox.orders.0.shop', 'x');
    owner.publish('call.orders', 'x');
    await acme.broker.streams();
    stranger.publish('own.subject', 'x');
    await expect.poll(() => own).toEqual(expect.arrayContaining(['inbox.orders.0.shop', 'call.orders']));
    await expect.poll(() => foreign).toEqual(['own.subject']);
  });

  test('has its own stream of the same name, which is empty', async () => {
    const state = await globex.broker.ensureStream(inboxSpec('orders'));
    expect(state).toMatchObject({ name: 'inbox_orders', messages: 0, lastSequence: 0 });
    expect((await acme.broker.streams()).find(({ name }) => name === 'inbox_orders')?.messages).toBeGreaterThan(0);
    await world.broker.releaseIntegration(
      'globex',
      globex.keys,
      { name: 'orders', uid: 'uid-of-orders' },
      { messages: true, lifetimeMs: 60_000 },
    );
    expect(await globex.broker.streams()).toEqual([]);
    expect((await acme.broker.streams()).map(({ name }) => name)).toContain('inbox_orders');
  });

  test.each(['$SYS.REQ.CLAIMS.LIST', '$SYS.REQ.SERVER.PING', '$SYS.REQ.SERVER.PING.JSZ'])(
    'reaches no system service: %s',
    async (subject) => {
      await expect(stranger.request(subject, '', { timeout: 500 })).rejects.toThrow();
    },
  );
  test('reaches no figures of the other account', async () => {
    const subject = `$SYS.REQ.ACCOUNT.${acme.keys.account}.CONNZ`;
    await expect(stranger.request(subject, '', { timeout: 500 })).rejects.toThrow();
  });

  test('cannot use its own keys for users of the other account', async () => {
    const forged = { ...globex.keys, account: acme.keys.account };
    const { creds } = await world.broker.credentials(
      forged,
      'worker',
      { name: 'orders', uid: 'uid-of-orders' },
      60_000,
    );
    const authenticator = credsAuthenticator(new TextEncoder().encode(creds));
    await expect(connect({ servers: world.url, authenticator, reconnect: false })).rejects.toThrow(/authorization/i);
  });
});
