import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { Integrations } from '../../operator/api/meta.ts';
import { makeUser } from '../../operator/broker/credentials.ts';
import { controlMetrics } from '../../operator/control/metrics.ts';
import { connectKube, type KubeConnection } from '../../operator/kube/connection.ts';
import { loadIdentity } from '../../operator/kube/identity.ts';
import { createTransport, type Transport } from '../../operator/kube/transport.ts';
import { readAccountKeys } from '../../operator/plan/account.ts';
import { tenantKeysName } from '../../operator/plan/children.ts';
import { reconcileConnection } from '../../operator/reconcile/connection.ts';
import { bodySweepMs, type Context } from '../../operator/reconcile/context.ts';
import { reconcileIntegration } from '../../operator/reconcile/integration.ts';
import { createOwnRoutes } from '../../operator/reconcile/own-routes.ts';
import type { KubeObject } from '../../operator/reconcile/ports.ts';
import { createRecentLooks } from '../../operator/reconcile/recent-looks.ts';
import { createScaler } from '../../operator/reconcile/scaler.ts';
import { createSecretWatches } from '../../operator/reconcile/secret-watches.ts';
import { reconcileTenant } from '../../operator/reconcile/tenant.ts';
import { wakers } from '../../operator/reconcile/wake.ts';
import { watched } from '../../operator/reconcile/watched.ts';
import { connectWith } from '../../test/operator/broker/world.ts';
import { settings } from '../../test/operator/plan/fixtures.ts';
import { type OperatorWorld, operatorNamespace } from '../../test/operator/reconcile/operator-world.ts';
import { orders, type Scene, tenantName } from './scene.ts';
import { jetStreamRequests, placeholders, recordingTransport, type Yardstick, yardstickOf } from './yardstick.ts';

/*
 * The operator's reconcilers in this process, with the operator's own account: they set the tenants up, and put one Integration in place
 * while their writes are recorded. Afterwards nothing reconciles here any more.
 */
export const rehearse = async (
  world: OperatorWorld,
  scene: Scene,
  tenants: number,
): Promise<{ yardstick: Yardstick; credentials: Record<string, string> }> => {
  const names = Array.from({ length: tenants }, (_, index) => tenantName(index));
  // Closed before anything is recorded: it writes the events of these tenants long after their conditions.
  const before = await reconcilersOf(world, await ownTransport(world));
  // Again and again: rights in a new namespace take a moment, and nobody counts for its quota here, which is waited for.
  const ready = scene.tenantsReady(tenants).then(() => true);
  while (!(await Promise.race([ready, sleep(500, false)])))
    await Promise.all(names.map((name) => reconcileTenant(before.context)(name).catch(nobody)));
  await before.kube.close();

  const { recording, taken } = recordingTransport(await ownTransport(world));
  const { context, kube } = await reconcilersOf(world, recording);
  const { tenant, integration } = placeholders;
  const path = `/apis/kanava.dev/v1alpha1/namespaces/${tenant}/integrations`;
  const object = orders(tenant, integration);
  const sample = (await scene.transport.request({ method: 'POST', path, body: object })) as KubeObject;
  const uid = sample.metadata.uid ?? '';
  const key = `${tenant}/${integration}`;
  // The caches may be a moment behind.
  while (!(await kube.cluster.get(Integrations, integration, tenant))) await sleep(10);
  for (let round = 0; round < 4; round += 1) {
    await reconcileIntegration(context)(key);
    await context.scaler.reconcile(key);
    await reconcileTenant(context)(tenant);
    await reconcileConnection(context)(`${tenant}/erp`);
  }
  const keysOf = async (name: string) => {
    const secret = await scene.secret(operatorNamespace, tenantKeysName(name));
    const keys = readAccountKeys(secret);
    if (!keys) throw new Error(`Tenant ${name} has no keys`);
    return keys;
  };
  const entries = await Promise.all(
    names.map(async (name) => [name, makeUser(await keysOf(name), 'ops', undefined, 3_600_000).creds] as const),
  );
  const credentials = Object.fromEntries(entries);
  const connection = await connectWith(world.nats.url, credentials[tenant] ?? '', '_INBOX_ops');
  await kube.close();
  const yardstick = yardstickOf(taken(uid), await jetStreamRequests(connection, uid));
  await connection.close();
  return { yardstick, credentials };
};

const nobody = () => {};

/** With the operator's rights. */
const ownTransport = async ({ api }: OperatorWorld): Promise<Transport> => {
  const kubeconfig = await api.serviceAccountKubeconfig(operatorNamespace, 'kanava-operator');
  const identity = await loadIdentity({ kubeconfig, env: {} });
  return createTransport({ identity, registry: new Registry(), mayWrite: () => true });
};

const reconcilersOf = async (
  world: OperatorWorld,
  transport: Transport,
): Promise<{ context: Context; kube: KubeConnection }> => {
  const log = pino({ level: 'silent' });
  const kube = connectKube({ transport, metrics: controlMetrics(new Registry()), log, instance: 'bench' });
  const wake = wakers(kube.cluster, { tenant: nobody, integration: nobody, connection: nobody, mountedSecret: nobody });
  const open = watched(wake, operatorNamespace).map(({ kind, onChange, ...options }) =>
    kube.watch(kind, onChange, options),
  );
  await Promise.all(open.map((watch) => watch.synced));
  const scaler = createScaler({
    cluster: kube.cluster,
    lags: world.nats.broker.meter,
    wake: nobody,
    changed: nobody,
    broken: nobody,
  });
  const context: Context = {
    cluster: kube.cluster,
    scaler,
    broker: world.nats.broker,
    settings: settings({
      runtime: { image: 'registry.example/kanava/runtime:test' },
      nats: { url: world.nats.url, network: { namespace: operatorNamespace, podLabels: { app: 'nats' } } },
      network: {},
    }),
    natsCa: undefined,
    credentialsMs: 86_400_000,
    now: () => Date.now(),
    log,
    secretWatches: createSecretWatches(kube, nobody),
    accountLooks: createRecentLooks(() => performance.now()),
    bodySweeps: createRecentLooks(() => performance.now(), bodySweepMs),
    ownRoutes: createOwnRoutes(),
  };
  return { context, kube };
};
