import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readAccountKeys } from '../../../operator/plan/account.ts';
import { http, integration, tenant } from '../../build.ts';
import { adminCreds, connectWith } from '../broker/world.ts';
import { type OperatorWorld, operatorNamespace, startOperatorWorld } from './operator-world.ts';

/* The stream of large bodies through the life of an Integration. What is swept, and when, is in ../broker/bodies.nats.test.ts. */
let world: OperatorWorld;
let admin: NatsConnection;
let manager: JetStreamManager;
const slow = 90_000;
const becomes = <T>(look: () => Promise<T>) => expect.poll(look, { timeout: slow, interval: 200 });
const stream = () => manager.streams.info('body_orders').catch(() => undefined);
const orders = (inbox: object) => integration({ sources: [http()], inbox, deletionPolicy: 'Delete' });

beforeAll(async () => {
  world = await startOperatorWorld();
});
afterAll(async () => {
  await admin?.close();
  await world?.stop();
});

it('comes with the field, is swept by the next operator, and goes with the Integration', {
  timeout: 4 * slow,
}, async () => {
  const operator = await world.startOperator();
  await world.apply(tenant());
  await world.becomes('tenants.kanava.dev', 'acme', { Ready: 'True' });
  const stored = await world.get('secret', 'tenant-keys-acme', operatorNamespace);
  const keys = stored && readAccountKeys(stored);
  if (!keys) throw new Error('the tenant has no keys');
  admin = await connectWith(world.nats.url, adminCreds(keys), '_INBOX');
  manager = await jetstreamManager(admin);

  await world.apply(orders({}));
  await world.becomes('integrations.kanava.dev', 'orders', { MessagingReady: 'True' }, 'acme');
  expect(await stream()).toBeUndefined();
  await world.apply(orders({ largeBodies: { largest: '1Mi', maxBytes: '8Mi' } }));
  await becomes(async () => (await stream())?.config.max_bytes).toBe(8 * 1024 ** 2);

  // What one that died had begun to remove, another one finds when it comes.
  await operator.stop('SIGKILL');
  for (const part of ['head', '0', '1']) await admin.request(`body.orders.b.${part}`, 'swept');
  expect((await stream())?.state.messages).toBe(3);
  await world.startOperator();
  await becomes(async () => (await stream())?.state.messages).toBe(0);

  await world.kubectl(['delete', 'integrations.kanava.dev', 'orders', '-n', 'acme', '--wait=false']);
  await becomes(async () => (await stream())?.config.name).toBeUndefined();
});
