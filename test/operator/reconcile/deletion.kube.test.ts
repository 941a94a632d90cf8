import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connection, http, httpSink, integration, secretKeyRef, tenant } from '../../build.ts';
import {
  accessTo,
  accessWith,
  accountOf,
  becomesAccessible,
  copiedLogin,
  leaves,
  messages,
  messagesOf,
  nothing,
  storeMessages,
} from './leftovers.ts';
import { type OperatorWorld, startOperatorWorld, until } from './operator-world.ts';

/*
 * Everything that can be deleted, in every way: the operator as a process with the chart's rights, against a real API server with the real
 * garbage collector and namespace controller, and a real nats-server. Nothing hangs; what is left is what the policy says. Each test has a
 * tenant of its own, and all run at once, because most of the time is Kubernetes' waiting.
 */
const tenants = 'tenants.kanava.dev';
const integrations = 'integrations.kanava.dev';
const connections = 'connections.kanava.dev';
type Policy = 'Retain' | 'Delete';
const limit = { timeout: 300_000 };

let world: OperatorWorld;
beforeAll(async () => {
  world = await startOperatorWorld({ controllers: true });
  await world.keepOperator();
}, 300_000);
afterAll(async () => {
  await world?.stop();
});

/** A tenant with the Secret and the Connection that Integrations of these tests use. */
const makeTenant = async (name: string, deletionPolicy: Policy = 'Retain') => {
  await world.apply(tenant({ namespace: { name }, deletionPolicy }, { name }));
  await world.becomes(tenants, name, { Ready: 'True' });
  await fillNamespace(name);
};
const fillNamespace = (namespace: string) => {
  const metadata = { name: 'shop', namespace };
  return world.apply(
    { apiVersion: 'v1', kind: 'Secret', metadata, stringData: { token: 't' } },
    connection(undefined, { namespace }),
  );
};
const applyIntegration = async (name: string, namespace: string, deletionPolicy: Policy) => {
  const sources = [http({ auth: { bearer: secretKeyRef('shop', 'token') } })];
  await world.apply(integration({ sources, sinks: [httpSink()], deletionPolicy }, { name, namespace }));
  await world.becomes(integrations, name, { MessagingReady: 'True', Accepted: 'True' }, namespace);
};
/** One that has everything that there is to be left. */
const makeIntegration = async (name: string, namespace: string, policy: Policy) => {
  await applyIntegration(name, namespace, policy);
  await until('its routes', async () => (await messagesOf(world, name, namespace)).routes.length === 1);
  await storeMessages(world, name, namespace);
};
/** Does not wait for its end, as `kubectl delete --wait=false`. */
const startRemoving = (kind: string, name: string, namespace?: string, way = 'background') => {
  const where = namespace ? ['-n', namespace] : [];
  return world.kubectl(['delete', kind, name, ...where, `--cascade=${way}`, '--wait=false', '--ignore-not-found']);
};
// An operator that lost its lease on a busy machine is back half a minute later.
const patience = 200_000;
const isGone = (kind: string, name: string, namespace?: string, uid?: string) =>
  until(
    `${kind} ${name} is gone`,
    async () => {
      const found = await world.get(kind, name, namespace);
      return !found || (uid !== undefined && found.metadata.uid !== uid);
    },
    patience,
  );
const remove = async (kind: string, name: string, namespace?: string, way?: string) => {
  const uid = (await world.get(kind, name, namespace))?.metadata.uid;
  await startRemoving(kind, name, namespace, way);
  await isGone(kind, name, namespace, uid);
};
/** The whole answer to "is it taken up again?": the object shows the dead letter of before, and nothing was lost. */
const takesUp = async (name: string, namespace: string) => {
  await until('the dead letter of before', async () => {
    const status = (await world.get(integrations, name, namespace))?.['status'];
    return (status as { deadLetters?: { count: number } } | undefined)?.deadLetters?.count === 1;
  });
  expect(await messagesOf(world, name, namespace)).toMatchObject(messages(name));
};
const retained = (name: string) => ({ ...nothing, ...messages(name) });

describe.concurrent('deleted', () => {
  it.each(['background', 'foreground'])('an Integration with Retain, in the %s', limit, async (way) => {
    const namespace = `retain-${way}`;
    await makeTenant(namespace);
    await makeIntegration('orders', namespace, 'Retain');
    await remove(integrations, 'orders', namespace, way);
    await leaves(world, 'orders', namespace, retained('orders'));
    await applyIntegration('orders', namespace, 'Delete');
    await takesUp('orders', namespace);
  });

  it.each(['background', 'foreground'])('an Integration with Delete, in the %s', limit, async (way) => {
    const namespace = `delete-${way}`;
    await makeTenant(namespace);
    await makeIntegration('orders', namespace, 'Delete');
    // Its name begins alike.
    await makeIntegration('orders-2', namespace, 'Delete');
    const login = await copiedLogin(world, 'orders', namespace);
    const neighbours = await copiedLogin(world, 'orders-2', namespace);
    expect(await login()).toBe('open');
    await remove(integrations, 'orders', namespace, way);
    await leaves(world, 'orders', namespace, nothing);
    expect(await Promise.all([login(), neighbours()])).toEqual(['closed', 'open']);
    expect(await messagesOf(world, 'orders-2', namespace)).toMatchObject(messages('orders-2'));
  });

  it('an Integration of a suspended Tenant, whose account stays closed', limit, async () => {
    await makeTenant('paused');
    await makeIntegration('orders', 'paused', 'Delete');
    await world.apply(tenant({ namespace: { name: 'paused' }, suspend: true }, { name: 'paused' }));
    await becomesAccessible(world, 'paused', 'closed');
    await remove(integrations, 'orders', 'paused');
    expect(await accessTo(world, 'paused')).toBe('closed');
    await world.apply(tenant({ namespace: { name: 'paused' } }, { name: 'paused' }));
    await becomesAccessible(world, 'paused', 'open');
    await leaves(world, 'orders', 'paused', nothing);
  });

  it.each(['background', 'foreground'])('a Connection in use, in the %s: what runs goes on', limit, async (way) => {
    const namespace = `connection-${way}`;
    await makeTenant(namespace);
    await applyIntegration('orders', namespace, 'Retain');
    const worker = async () => (await world.get('deployment', 'worker-orders', namespace))?.['spec'];
    const before = (await worker()) as { template: unknown };
    await remove(connections, 'erp', namespace, way);
    await world.becomes(integrations, 'orders', { ConnectionsReady: 'ConnectionMissing', Stalled: 'True' }, namespace);
    expect(await worker()).toMatchObject({ template: before.template });
    await fillNamespace(namespace);
    await world.becomes(integrations, 'orders', { ConnectionsReady: 'True', Stalled: 'False' }, namespace);
  });

  it.each(['background', 'foreground'])('a Tenant with Delete, in the %s', limit, async (way) => {
    const name = `whole-${way}`;
    await makeTenant(name, 'Delete');
    await makeIntegration('orders', name, 'Retain');
    const keys = await accountOf(world, name);
    if (!keys) throw new Error('it had no account');
    await remove(tenants, name, undefined, way);
    await isGone('namespace', name);
    expect(await accountOf(world, name)).toBeUndefined();
    expect(await accessWith(world, keys)).toBe('closed');
  });

  it('a Tenant with Retain; its Integrations go meanwhile, and the rest is taken up again', limit, async () => {
    await makeTenant('kept');
    await makeIntegration('orders', 'kept', 'Retain');
    await makeIntegration('extra', 'kept', 'Delete');
    await makeIntegration('late', 'kept', 'Retain');
    const keys = await accountOf(world, 'kept');
    await remove(tenants, 'kept', undefined, 'foreground');
    await world.becomes(integrations, 'orders', { Accepted: 'NoTenant' }, 'kept');
    await becomesAccessible(world, 'kept', 'closed');
    await remove(integrations, 'extra', 'kept');
    await remove(integrations, 'late', 'kept', 'foreground');
    expect(await accessTo(world, 'kept')).toBe('closed');

    await world.apply(tenant({ namespace: { name: 'kept' } }, { name: 'kept' }));
    await world.becomes(integrations, 'orders', { Accepted: 'True', MessagingReady: 'True' }, 'kept');
    expect(await accountOf(world, 'kept')).toEqual(keys);
    await leaves(world, 'extra', 'kept', nothing);
    await leaves(world, 'late', 'kept', retained('late'));
    await takesUp('orders', 'kept');
    expect((await messagesOf(world, 'orders', 'kept')).routes).toHaveLength(1);
  });

  it('a namespace, which its Tenant makes anew; messages stay or go by policy', limit, async () => {
    await makeTenant('moved');
    await makeIntegration('orders', 'moved', 'Retain');
    await makeIntegration('extra', 'moved', 'Delete');
    const uid = async () => (await world.get('namespace', 'moved'))?.metadata.uid;
    const before = await uid();
    await remove('namespace', 'moved');
    await until('a new namespace', async () => ![undefined, before].includes(await uid()));
    await world.becomes(tenants, 'moved', { Ready: 'True' });
    await leaves(world, 'extra', 'moved', nothing);
    await leaves(world, 'orders', 'moved', retained('orders'));
    await fillNamespace('moved');
    await applyIntegration('orders', 'moved', 'Retain');
    await takesUp('orders', 'moved');
  });

  it.each(['Delete', 'Retain'] as const)('namespace, Integration and Tenant (%s) at once', limit, async (policy) => {
    const name = `at-once-${policy.toLowerCase()}`;
    await makeTenant(name, policy);
    await makeIntegration('orders', name, 'Delete');
    await startRemoving('namespace', name);
    await startRemoving(integrations, 'orders', name);
    await remove(tenants, name);
    await isGone('namespace', name);
    expect((await accountOf(world, name)) === undefined).toBe(policy === 'Delete');
  });
});

describe('deleted while NATS is away', () => {
  it('waits, says so, and ends by itself when NATS is back', limit, async () => {
    await Promise.all([
      makeTenant('alone').then(() =>
        Promise.all([makeIntegration('orders', 'alone', 'Delete'), makeIntegration('stored', 'alone', 'Retain')]),
      ),
      makeTenant('leaver', 'Delete'),
      makeTenant('homeless').then(() => makeIntegration('orders', 'homeless', 'Delete')),
    ]);
    await world.nats.kill();
    await startRemoving(integrations, 'orders', 'alone');
    await startRemoving(integrations, 'stored', 'alone', 'foreground');
    await startRemoving(tenants, 'leaver', undefined, 'foreground');
    await startRemoving('namespace', 'homeless');
    const waiting = { Ready: 'Deleting', Reconciling: 'Deleting' };
    await world.becomes(integrations, 'orders', waiting, 'alone');
    await world.becomes(integrations, 'stored', waiting, 'alone');
    await world.becomes(tenants, 'leaver', waiting);
    await world.becomes(integrations, 'orders', waiting, 'homeless');
    const ready = await world.condition(integrations, 'orders', 'Ready', 'homeless');
    expect(ready?.message).toMatch(/it is tried until .*, then left behind/);

    await world.nats.start();
    await isGone(integrations, 'orders', 'alone');
    await isGone(integrations, 'stored', 'alone');
    await isGone(tenants, 'leaver');
    await isGone('namespace', 'leaver');
    expect(await accountOf(world, 'leaver')).toBeUndefined();
    await leaves(world, 'orders', 'alone', nothing);
    await leaves(world, 'stored', 'alone', retained('stored'));
    await world.becomes(tenants, 'homeless', { Ready: 'True' });
    await leaves(world, 'orders', 'homeless', nothing);
  });
});
