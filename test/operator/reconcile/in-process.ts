import { pino } from 'pino';
import { Registry } from 'prom-client';
import { Connections, Integrations, Tenants } from '../../../operator/api/meta.ts';
import { controlMetrics } from '../../../operator/control/metrics.ts';
import { connectKube, type KubeConnection } from '../../../operator/kube/connection.ts';
import { loadIdentity } from '../../../operator/kube/identity.ts';
import { createTransport, type Transport } from '../../../operator/kube/transport.ts';
import { Namespaces } from '../../../operator/plan/kinds.ts';
import { bodySweepMs, type Context } from '../../../operator/reconcile/context.ts';
import { createOwnRoutes } from '../../../operator/reconcile/own-routes.ts';
import { createRecentLooks } from '../../../operator/reconcile/recent-looks.ts';
import { createScaler } from '../../../operator/reconcile/scaler.ts';
import { createSecretWatches } from '../../../operator/reconcile/secret-watches.ts';
import { wakers } from '../../../operator/reconcile/wake.ts';
import { watched } from '../../../operator/reconcile/watched.ts';
import { connection, filter, http, httpSink, integration, secretKeyRef, tenant } from '../../build.ts';
import type { KubeApi } from '../../cluster/kube-api.ts';
import { mustKubectl } from '../../cluster/kubectl.ts';
import { borrowServer } from '../api/shared-server.ts';
import { startWorld, type World } from '../broker/world.ts';
import { until } from '../kube/kube-world.ts';
import { settings } from '../plan/fixtures.ts';

/*
 * The reconcilers in the test's own process, against real servers, so that a test decides when they run, what time it is and which
 * write is the last. Watches fill the caches and wake nobody.
 */
export interface InProcess {
  readonly api: KubeApi;
  readonly nats: World;
  readonly kube: KubeConnection;
  readonly transport: Transport;
  /** A context that knows nothing yet, as a new operator has it. */
  contextOf(changes?: Partial<Context>): Context;
  /** A tenant with its namespace, Secrets, a Connection and the Integration `orders`; resolves when the caches have it. */
  create(name: string, deletionPolicy?: 'Retain' | 'Delete'): Promise<void>;
  stop(): Promise<void>;
}

export const startInProcess = async (): Promise<InProcess> => {
  // Accounts reserve what they may store.
  const [api, nats] = await Promise.all([borrowServer(), startWorld({ jetstream: 'max_file_store: 200GB' })]);
  await mustKubectl(api.kubectl, ['create', 'namespace', 'kanava-system']);
  const log = pino({ level: 'silent' });
  const identity = await loadIdentity({ kubeconfig: api.kubeconfig, env: {} });
  const transport = createTransport({ identity, registry: new Registry(), mayWrite: () => true });
  const kube = connectKube({ transport, metrics: controlMetrics(new Registry()), log, instance: 'test' });
  const nobody = () => {};
  const wake = wakers(kube.cluster, { tenant: nobody, integration: nobody, connection: nobody, mountedSecret: nobody });
  const open = watched(wake, 'kanava-system').map(({ kind, onChange, ...options }) =>
    kube.watch(kind, onChange, options),
  );
  await Promise.all(open.map((watch) => watch.synced));

  const put = (path: string, object: { readonly metadata: { readonly name: string } }) =>
    transport.request({
      method: 'PATCH',
      path: `${path}/${object.metadata.name}`,
      query: { fieldManager: 'test', force: 'true' },
      contentType: 'application/apply-patch+yaml',
      body: object,
    });
  const v1 = (kind: string, name: string, fields: object = {}, metadata: object = {}) => ({
    apiVersion: 'v1',
    kind,
    metadata: { name, ...metadata },
    ...fields,
  });
  return {
    api,
    nats,
    kube,
    transport,
    contextOf: (changes = {}) => ({
      cluster: kube.cluster,
      scaler: createScaler({
        cluster: changes.cluster ?? kube.cluster,
        lags: nats.broker.meter,
        wake: nobody,
        changed: nobody,
        broken: nobody,
      }),
      broker: nats.broker,
      settings: settings({
        nats: { url: nats.url, network: { namespace: 'kanava-system', podLabels: { app: 'nats' } } },
      }),
      natsCa: undefined,
      credentialsMs: 86_400_000,
      now: () => Date.now(),
      log,
      secretWatches: createSecretWatches(kube, nobody),
      accountLooks: createRecentLooks(() => performance.now()),
      bodySweeps: createRecentLooks(() => performance.now(), bodySweepMs),
      ownRoutes: createOwnRoutes(),
      ...changes,
    }),
    create: async (name, deletionPolicy = 'Retain') => {
      const crs = '/apis/kanava.dev/v1alpha1';
      const own = `${crs}/namespaces/${name}`;
      await put('/api/v1/namespaces', v1('Namespace', name, {}, { annotations: { 'kanava.dev/adopt': name } }));
      for (const secret of ['shop', 'erp'])
        await put(`/api/v1/namespaces/${name}/secrets`, v1('Secret', secret, { stringData: { token: 'text' } }));
      const members = [{ kind: 'User' as const, name: 'ann', role: 'Editor' as const }];
      await put(`${crs}/tenants`, tenant({ namespace: { name, adopt: true }, members, deletionPolicy }, { name }));
      const erp = { http: { url: 'https://erp.example.com', auth: { bearer: secretKeyRef('erp', 'token') } } };
      await put(`${own}/connections`, connection(erp, { namespace: name }));
      const orders = {
        sources: [http({ auth: { bearer: secretKeyRef('shop', 'token') } })],
        steps: [filter('true')],
        sinks: [httpSink()],
        deletionPolicy,
      };
      await put(`${own}/integrations`, integration(orders, { namespace: name }));
      // Each kind has a watch of its own, and one of them is the last.
      const { list, cached } = kube.cluster;
      const isCached = () =>
        [Namespaces, Tenants].every((kind) => cached(kind, name) !== undefined) &&
        [Connections, Integrations].every((kind) => list(kind, { namespace: name }).length > 0);
      await until('the watches have it', isCached);
    },
    stop: async () => {
      await kube.close();
      await nats.stop();
      await api.stop();
    },
  };
};
