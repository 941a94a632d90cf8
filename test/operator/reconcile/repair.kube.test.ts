import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readAccountKeys } from '../../../operator/plan/account.ts';
import type { KubeObject } from '../../../operator/reconcile/ports.ts';
import { connection, filter, http, httpSink, integration, secretKeyRef, tenant } from '../../build.ts';
import { adminCreds, connectWith } from '../broker/world.ts';
import { childKinds, type OperatorWorld, operatorNamespace, startOperatorWorld, until } from './operator-world.ts';

/* Whatever somebody deletes by hand of what the operator made is there again, and nothing else suffers. Times are the bench's (`reaction`). */
const namespace = 'acme';
let world: OperatorWorld;
let admin: NatsConnection;
let manager: JetStreamManager;

beforeAll(async () => {
  world = await startOperatorWorld();
  await world.keepOperator();
  await world.apply(tenant({ members: [{ kind: 'User', name: 'ann', role: 'Editor' }] }));
  await world.becomes('tenants.kanava.dev', 'acme', { Ready: 'True' });
  const secret = (name: string) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace },
    stringData: { token: 't' },
  });
  const url = 'https://erp.example.com/api';
  await world.apply(
    secret('shop'),
    secret('erp'),
    connection({ http: { url, auth: { bearer: secretKeyRef('erp', 'token') } } }),
    integration({
      sources: [http({ auth: { bearer: secretKeyRef('shop', 'token') } })],
      steps: [filter('true')],
      sinks: [httpSink()],
    }),
  );
  await until('routes', async () => {
    const found = await world.get('integrations.kanava.dev', 'orders', namespace);
    return (found?.['status'] as { endpoints?: string[] } | undefined)?.endpoints?.length;
  });
  const keys = readAccountKeys(
    (await world.get('secret', 'tenant-keys-acme', operatorNamespace)) as KubeObject,
  ) as NonNullable<ReturnType<typeof readAccountKeys>>;
  admin = await connectWith(world.nats.url, adminCreds(keys), '_INBOX');
  manager = await jetstreamManager(admin);
}, 300_000);
afterAll(async () => {
  await admin?.close();
  await world?.stop();
});

const owned = async () => {
  const found: KubeObject[] = [];
  for (const kind of childKinds) found.push(...(await world.list(kind, namespace)));
  return found.filter(({ metadata }) => metadata.labels?.['app.kubernetes.io/managed-by'] === 'kanava');
};

describe('deleted by hand', () => {
  it('every object of the tenant comes back, one kind after the other', { timeout: 600_000 }, async () => {
    const objects = await until('everything', async () => {
      const all = await owned();
      const has = (name: string) => all.some(({ kind, metadata }) => kind === 'Deployment' && metadata.name === name);
      // They are the last that are made, one by the Tenant's reconciler and one by the Integration's.
      return all.length >= 21 && has('gateway') && has('worker-orders') && all;
    });
    expect(new Set(objects.map(({ kind }) => kind)).size).toBe(childKinds.length);
    for (const [kind, ofKind] of Map.groupBy(objects, (object) => object.kind)) {
      const old = new Map(ofKind.map(({ metadata }) => [metadata.name, metadata.uid]));
      await world.kubectl(['delete', kind, ...old.keys(), '-n', namespace]);
      await until(`all of kind ${kind} are back`, async () => {
        const uids = new Map((await world.list(kind, namespace)).map(({ metadata }) => [metadata.name, metadata.uid]));
        return [...old].every(([name, uid]) => uids.has(name) && uids.get(name) !== uid);
      });
    }
    const names = (all: readonly KubeObject[]) =>
      all.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort((a, b) => (a < b ? -1 : 1));
    expect(names(await owned())).toEqual(names(objects));
  });

  it('the record of what was accepted comes back, and the gateway stays meanwhile', { timeout: 120_000 }, async () => {
    const uids = async () =>
      (await Promise.all(['deployment', 'service'].map((kind) => world.get(kind, 'gateway', namespace)))).map(
        (found) => found?.metadata.uid,
      );
    const before = await uids();
    const record = await world.get('configmap', 'accepted-orders', namespace);
    await world.kubectl(['delete', 'configmap', 'accepted-orders', '-n', namespace]);
    await until('it is back', async () => {
      const uid = (await world.get('configmap', 'accepted-orders', namespace))?.metadata.uid;
      return uid !== undefined && uid !== record?.metadata.uid;
    });
    expect(await uids()).toEqual(before);
  });

  it.each(['inbox_orders', 'dlq_orders', 'bus', 'tick', 'KV_state', 'KV_gateway', 'KV_answer'])(
    'stream %s comes back',
    { timeout: 120_000 },
    async (stream) => {
      const { created, config } = await manager.streams.info(stream);
      await manager.streams.delete(stream);
      const again = await until('it is back', () => manager.streams.info(stream).catch(() => undefined));
      expect(again.created).not.toBe(created);
      expect(again.config).toEqual(config);
    },
  );

  it('a consumer and the routes come back', { timeout: 120_000 }, async () => {
    await manager.consumers.delete('inbox_orders', 'worker-0');
    await until('the consumer is back', () =>
      manager.consumers.info('inbox_orders', 'worker-0').catch(() => undefined),
    );
    await manager.streams.purge('KV_gateway');
    await until('the routes are back', () =>
      manager.direct.getMessage('KV_gateway', { last_by_subj: '$KV.gateway.routes.orders' }).catch(() => undefined),
    );
  });
});
