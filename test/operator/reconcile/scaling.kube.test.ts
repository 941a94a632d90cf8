import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeUser } from '../../../operator/broker/credentials.ts';
import { isScalers } from '../../../operator/plan/scaling.ts';
import type { AccountKeys, KubeObject } from '../../../operator/reconcile/ports.ts';
import {
  bucketSubject,
  busSubject,
  inboxPrefix,
  inboxStream,
  inboxSubject,
  wakeKey,
  workerConsumer,
} from '../../../runtime/nats/names.ts';
import { connection, integration, tenant } from '../../build.ts';
import { adminCreds, connectWith } from '../broker/world.ts';
import { type OperatorProcess, type OperatorWorld, startOperatorWorld, until } from './operator-world.ts';
import { accountOf, type StandIns, startStandIns } from './stand-ins.ts';

/*
 * From none to many and back, by what waits in a real inbox. There is no kubelet: the test takes messages out as a worker would. Tests
 * build on each other.
 */
const integrations = 'integrations.kanava.dev';
const orders = (scaling: object = {}, changes: Parameters<typeof integration>[0] = {}) =>
  integration({
    delivery: { timeout: '1s' },
    ...changes,
    scaling: { idleAfter: '1s', lagPerReplica: 10, maxReplicas: 5, ...scaling },
  });

let world: OperatorWorld;
let operator: OperatorProcess;
let keys: AccountKeys;
let gateway: NatsConnection;
let standIns: StandIns;

const worker = async (): Promise<KubeObject | undefined> => world.get('deployment', 'worker-orders', 'acme');
const replicas = async () => ((await worker())?.['spec'] as { replicas?: number } | undefined)?.replicas;
const become = (count: number) => until(`${count} workers`, async () => (await replicas()) === count, 60_000);
const statusOf = async () =>
  (await world.get(integrations, 'orders', 'acme'))?.['status'] as
    | { lag?: { pending: number; inFlight: number }; replicas?: number; readyReplicas?: number }
    | undefined;
const store = async (count: number) => {
  for (let index = 0; index < count; index += 1)
    await jetstream(gateway).publish(inboxSubject('orders', 0, 'in'), 'a message');
};
/** The newest spec is what decides. */
const takenUp = () =>
  until('the newest generation', async () => {
    const found = await world.get(integrations, 'orders', 'acme');
    const { observedGeneration } = (found?.['status'] ?? {}) as { observedGeneration?: number };
    return observedGeneration === found?.metadata.generation;
  });
/** What a worker does with all that waits. */
const takeAll = async (finish: 'ack' | 'park') => {
  const prefix = inboxPrefix('worker', 'orders');
  const connected = await connectWith(world.nats.url, makeUser(keys, 'worker', 'orders', 60_000).creds, prefix);
  const consumer = await jetstream(connected).consumers.get(inboxStream('orders'), workerConsumer(0));
  let taken = 0;
  for (
    let message = await consumer.next({ expires: 1_000 });
    message;
    message = await consumer.next({ expires: 1_000 })
  ) {
    if (finish === 'ack') await message.ackAck();
    else message.nak(3_600_000);
    taken += 1;
  }
  await connected.flush();
  await connected.close();
  return taken;
};
beforeAll(async () => {
  world = await startOperatorWorld();
  operator = await world.startOperator();
  await world.apply(tenant());
  await world.becomes('tenants.kanava.dev', 'acme', { Ready: 'True' });
  await world.apply(connection(), orders());
  await world.becomes(integrations, 'orders', { MessagingReady: 'True' }, 'acme');
  keys = await accountOf(world, 'acme');
  const { creds } = makeUser(keys, 'gateway', undefined, 3_600_000);
  gateway = await connectWith(world.nats.url, creds, inboxPrefix('gateway'));
  // Pods that take their time, at first.
  standIns = await startStandIns(world, 'acme', { pods: false });
});
afterAll(async () => {
  await standIns?.stop();
  await gateway?.close();
  await world?.stop();
});

/** One figure of the operator's metrics; none while it does not listen yet. */
const metric = async (name: string): Promise<number> => {
  const lines = (await operator.metrics().catch(() => '')).split('\n');
  return Number(
    lines
      .find((line) => line.startsWith(name))
      ?.split(' ')
      .at(-1),
  );
};

describe('an integration', () => {
  it('sleeps without a worker, and is well', async () => {
    await world.becomes(integrations, 'orders', { Ready: 'Idle', Available: 'Idle', Active: 'ScaledToZero' }, 'acme');
    expect(isScalers((await worker()) as KubeObject)).toBe(true);
    expect(await replicas()).toBe(0);
  });

  it('wakes for one message, grows with what waits, and is ready all the while', { timeout: 240_000 }, async () => {
    await store(1);
    await become(1);
    await world.becomes(integrations, 'orders', { Ready: 'Waking', Available: 'True', Active: 'True' }, 'acme');
    await store(34);
    await become(4);
    // Roughly: written when the order of magnitude changes.
    await until('the lag', async () => ((await statusOf())?.lag?.pending ?? 0) >= 10, 60_000);
    await standIns.stop();
    standIns = await startStandIns(world, 'acme');
    await world.becomes(integrations, 'orders', { Ready: 'Running', Reconciling: 'False' }, 'acme');
    await until('the pods', async () => (await statusOf())?.readyReplicas === 4, 60_000);
  });

  it('keeps its workers while nobody knows what waits', { timeout: 240_000 }, async () => {
    await world.apply(orders({ idleAfter: '15s' }));
    await takenUp();
    expect(await takeAll('ack')).toBe(35);
    await world.nats.kill();
    // Idle for longer than that, if what is not seen were nothing, or if what was seen went on being so.
    await until('what is known is old', async () => (await metric('kanava_lag_age_seconds')) > 20, 60_000);
    expect(await replicas()).toBe(4);
    await world.nats.start();
    await become(0);
    await world.apply(orders());
    await takenUp();
    await store(35);
    await become(4);
  });

  it('keeps one for what waits for its next attempt, and no more', { timeout: 180_000 }, async () => {
    expect(await takeAll('park')).toBe(35);
    await become(1);
    await until(
      'they are parked',
      async () =>
        (await metric(`kanava_integration_messages{namespace="acme",integration="orders",state="parked"}`)) === 35,
      60_000,
    );
    expect(await replicas()).toBe(1);
  });

  it('begins with a new operator where the old one stood', { timeout: 120_000 }, async () => {
    await world.kubectl(['scale', 'deployment/worker-orders', '--replicas=3', '-n', 'acme']);
    await become(1);
    expect(await operator.stop()).toBe(0);
    operator = await world.startOperator();
    await until('it decides', async () => (await metric('kanava_integration_replicas_wanted{')) === 1, 60_000);
    await until('it knows', async () => (await metric('kanava_lag_age_seconds')) < 2, 60_000);
    expect(await replicas()).toBe(1);
  });

  it('sleeps again when nothing is left', { timeout: 120_000 }, async () => {
    const admin = await connectWith(world.nats.url, adminCreds(keys), '_INBOX');
    await (await jetstreamManager(admin)).streams.purge(inboxStream('orders'));
    await admin.close();
    await become(0);
    await world.becomes(
      integrations,
      'orders',
      { Ready: 'Idle', Active: 'ScaledToZero', Reconciling: 'False' },
      'acme',
    );
    const generation = (await worker())?.metadata.generation;
    await store(1);
    await become(1);
    expect(await takeAll('ack')).toBe(1);
    await become(0);
    expect((await worker())?.metadata.generation).toBe((generation ?? 0) + 2);
  });

  it('is scaled by hand in mode Manual, through its own scale', { timeout: 120_000 }, async () => {
    await world.apply(orders({ mode: 'Manual', replicas: 2 }));
    await become(2);
    await store(60);
    await world.kubectl(['scale', `${integrations}/orders`, '--replicas=3', '-n', 'acme']);
    await become(3);
    await until('the lag', async () => ((await statusOf())?.lag?.pending ?? 0) >= 10, 60_000);
    expect(await replicas()).toBe(3);
  });

  it('has none while it is suspended, whatever waits', { timeout: 120_000 }, async () => {
    // Whoever scaled by hand owns the number; another one takes it over.
    await world.apply(orders({ mode: 'Manual', replicas: 2 }, { suspend: true }));
    await become(0);
    await world.becomes(integrations, 'orders', { Ready: 'Suspended', Active: 'Suspended' }, 'acme');
    await store(1);
    await until(
      'the operator sees it',
      async () =>
        (await metric(`kanava_integration_messages{namespace="acme",integration="orders",state="waiting"}`)) === 61,
      60_000,
    );
    expect(await replicas()).toBe(0);
    await world.apply(orders());
    await become(5);
  });

  it('gets its workers back as many as they were', { timeout: 120_000 }, async () => {
    await world.kubectl(['delete', 'deployment', 'worker-orders', '-n', 'acme']);
    await become(5);
  });

  it('gets its consumer back, which begins with all that is stored', { timeout: 120_000 }, async () => {
    const admin = await connectWith(world.nats.url, adminCreds(keys), '_INBOX');
    const manager = await jetstreamManager(admin);
    const { created } = await manager.consumers.info(inboxStream('orders'), workerConsumer(0));
    await manager.consumers.delete(inboxStream('orders'), workerConsumer(0));
    await until(
      'a new consumer',
      async () => {
        const found = await manager.consumers.info(inboxStream('orders'), workerConsumer(0)).catch(() => undefined);
        return found && found.created !== created;
      },
      60_000,
    );
    await admin.close();
    expect(await replicas()).toBe(5);
    expect(await takeAll('ack')).toBe(61);
  });

  it('wakes for what the bus has for it, and for nothing else', { timeout: 180_000 }, async () => {
    const heard = { sources: [{ name: 'in', bus: { types: ['order.created'] } }], scaling: { idleAfter: '1s' } };
    await world.apply(integration(heard, { name: 'listener', namespace: 'acme' }));
    await world.becomes(integrations, 'listener', { Ready: 'Idle' }, 'acme');
    const listeners = async () =>
      ((await world.get('deployment', 'worker-listener', 'acme'))?.['spec'] as { replicas?: number } | undefined)
        ?.replicas;
    const { creds } = makeUser(keys, 'worker', 'orders', 600_000);
    const publisher = await connectWith(world.nats.url, creds, inboxPrefix('worker', 'orders'));
    const publish = (type: string) => publisher.request(busSubject(type), 'an event', { timeout: 60_000 });
    await publish('order.deleted');
    const lag = 'kanava_integration_messages{namespace="acme",integration="listener",state="waiting"}';
    const seen = async () => (await metric(lag)) === 0;
    await until('the operator has looked', seen, 60_000);
    const generation = (await world.get('deployment', 'worker-listener', 'acme'))?.metadata.generation;
    expect(await listeners()).toBe(0);
    await publish('order.created');
    await until('a worker', async () => (await listeners()) === 1, 60_000);
    expect((await world.get('deployment', 'worker-listener', 'acme'))?.metadata.generation).toBe((generation ?? 0) + 1);
    await publisher.close();
  });

  it('wakes for a request that is to be answered, and sleeps when none came for long enough', {
    timeout: 240_000,
  }, async () => {
    const sources = [{ name: 'in', http: { path: '/in', reply: { timeout: '1s' } } }];
    for (const name of ['quotes', 'others']) {
      await world.apply(integration({ sources, scaling: { idleAfter: '1s' } }, { name, namespace: 'acme' }));
      await world.becomes(integrations, name, { Ready: 'Idle' }, 'acme');
    }
    const workers = async (name: string) =>
      ((await world.get('deployment', `worker-${name}`, 'acme'))?.['spec'] as { replicas?: number } | undefined)
        ?.replicas;
    // As a gateway does each second while it holds a request.
    const call = () => gateway.request(bucketSubject('gateway', wakeKey('quotes')), 'now', { timeout: 60_000 });
    await until(
      'a worker',
      async () => {
        await call();
        return (await workers('quotes')) === 1;
      },
      60_000,
    );
    expect(await workers('others'), 'whom nobody called').toBe(0);
    await world.becomes(integrations, 'quotes', { Ready: 'Running' }, 'acme');
    const last = performance.now();
    await call();
    await until('none', async () => (await workers('quotes')) === 0, 90_000);
    expect(performance.now() - last, 'one in work would have had its time').toBeGreaterThan(11_000);
  });
});
