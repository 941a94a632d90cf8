import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { Integrations, Tenants } from '../../operator/api/meta.ts';
import { startListWatch } from '../../operator/control/list-watch.ts';
import { controlMetrics } from '../../operator/control/metrics.ts';
import { loadIdentity } from '../../operator/kube/identity.ts';
import { objectSource } from '../../operator/kube/object-source.ts';
import { createTransport } from '../../operator/kube/transport.ts';
import { isTrue, statusConditions } from '../../operator/plan/conditions.ts';
import type { KubeObject, ResourceKind } from '../../operator/reconcile/ports.ts';
import { connection, filter, http, httpSink, integration, map, secretKeyRef, tenant } from '../../test/build.ts';
import type { OperatorWorld } from '../../test/operator/reconcile/operator-world.ts';

/* Tenants and their Integrations, as users would make them, and a view of how far they are. */
export interface Sizes {
  readonly tenants: number;
  readonly integrations: number;
}
export const tenantName = (index: number): string => `tenant-${String(index).padStart(3, '0')}`;
export const integrationName = (index: number): string => `sample-${String(index).padStart(4, '0')}`;

export const orders = (namespace: string, name: string) =>
  integration(
    {
      description: 'Web shop orders into the ERP',
      sources: [http({ path: '/orders', auth: { bearer: secretKeyRef('shop', 'token') } })],
      steps: [
        filter('body.total > 10.0'),
        map({ id: '=body.orderId', lines: "=body.lines.map(l, {'sku': l.sku, 'qty': l.qty})" }),
      ],
      sinks: [httpSink({ method: 'POST', path: '/invoices' })],
      // Else those of many that were put in place first would fall asleep meanwhile, which those of few do not come to.
      scaling: { idleAfter: '2h' },
    },
    { name, namespace },
  );
const erp = (namespace: string) =>
  connection(
    { http: { url: 'https://erp.example.com/api', auth: { bearer: secretKeyRef('erp', 'token') } } },
    { namespace },
  );
const secret = (namespace: string, name: string) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace },
  stringData: { token: 'a-token-of-some-length' },
});
export const tenantOf = (name: string, integrations: number) =>
  tenant(
    {
      namespace: { name },
      members: [{ kind: 'Group', name: `${name}-developers`, role: 'Editor' }],
      quota: { integrations: integrations + 1, replicas: 1000 },
      messaging: { storage: `${(integrations + 1) * 64 + 200}Mi`, streams: 3 * integrations + 20 },
    },
    { name },
  );

export interface Scene {
  /** The administrator's. */
  readonly transport: ReturnType<typeof createTransport>;
  makeTenants(count: number, integrationsEach: number): Promise<void>;
  /** Resolves when all of them are ready, with what they need inside. */
  tenantsReady(count: number): Promise<void>;
  makeIntegrations(sizes: Sizes): Promise<void>;
  tenants(): string[];
  integrations(): readonly KubeObject[];
  secret(namespace: string, name: string): Promise<KubeObject>;
  /** Resolves when `count` Integrations are put in place. */
  converged(count: number): Promise<void>;
  close(): Promise<void>;
}

/** Everything is made; pods, which nobody starts here, are all that is missing. */
const isInPlace = ({ metadata, status }: KubeObject): boolean => {
  const { observedGeneration } = (status ?? {}) as { observedGeneration?: number };
  const conditions = statusConditions(status);
  const ready = conditions.find(({ type }) => type === 'Ready');
  const isWritten = ready?.status === 'True' || (ready?.message ?? '').includes('taken up revision');
  return observedGeneration === metadata.generation && isTrue(conditions, 'MessagingReady') && isWritten;
};

const inParallel = async (jobs: readonly (() => Promise<unknown>)[]): Promise<void> => {
  const waiting = [...jobs];
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await next();
  };
  await Promise.all(Array.from({ length: 16 }, worker));
};

export const openScene = async ({ api }: OperatorWorld): Promise<Scene> => {
  const identity = await loadIdentity({ kubeconfig: api.kubeconfig, env: {} });
  const transport = createTransport({ identity, registry: new Registry(), mayWrite: () => true, connections: 16 });
  const log = pino({ level: 'warn' });
  const metrics = controlMetrics(new Registry());
  const watch = (kind: ResourceKind) =>
    startListWatch({ name: kind.plural, source: objectSource(transport, kind, {}), onChange: () => {}, metrics, log });
  const [tenants, integrations] = [watch(Tenants), watch(Integrations)];
  await Promise.all([tenants.synced, integrations.synced]);

  const put = (path: string, object: { readonly metadata: { readonly name: string } }) => () =>
    transport.request({
      method: 'PATCH',
      path: `${path}/${object.metadata.name}`,
      query: { fieldManager: 'bench', force: 'true' },
      contentType: 'application/apply-patch+yaml',
      body: object,
      idempotent: true,
    });
  const crs = '/apis/kanava.dev/v1alpha1';
  const until = async (what: string, isDone: () => boolean, sample: () => unknown) => {
    const end = performance.now() + 1_800_000;
    while (!isDone()) {
      if (performance.now() > end) throw new Error(`not in 30 minutes: ${what}: ${JSON.stringify(sample())}`);
      await sleep(50);
    }
  };
  return {
    transport,
    makeTenants: async (count, integrationsEach) => {
      const names = Array.from({ length: count }, (_, index) => tenantName(index));
      await inParallel(names.map((name) => put(`${crs}/tenants`, tenantOf(name, integrationsEach))));
    },
    tenantsReady: async (count) => {
      const isReady = ({ status }: KubeObject) => isTrue(statusConditions(status), 'Ready');
      const waiting = () => tenants.list().filter((object) => !isReady(object));
      await until(
        'tenants ready',
        () => tenants.size() === count && waiting().length === 0,
        () => waiting()[0],
      );
      await inParallel(
        tenants
          .list()
          .flatMap(({ metadata: { name } }) => [
            put(`/api/v1/namespaces/${name}/secrets`, secret(name, 'shop')),
            put(`/api/v1/namespaces/${name}/secrets`, secret(name, 'erp')),
            put(`${crs}/namespaces/${name}/connections`, erp(name)),
          ]),
      );
    },
    makeIntegrations: async (sizes) => {
      const jobs = Array.from({ length: sizes.integrations }, (_, index) => {
        const namespace = tenantName(index % sizes.tenants);
        return put(`${crs}/namespaces/${namespace}/integrations`, orders(namespace, integrationName(index + 1)));
      });
      await inParallel(jobs);
      await until(
        'integrations stored',
        () => integrations.size() >= sizes.integrations,
        () => integrations.size(),
      );
    },
    tenants: () => tenants.list().map(({ metadata }) => metadata.name),
    integrations: () => integrations.list(),
    secret: async (namespace, name) =>
      (await transport.request({
        method: 'GET',
        path: `/api/v1/namespaces/${namespace}/secrets/${name}`,
      })) as KubeObject,
    converged: (count) => {
      const missing = () => integrations.list().find((object) => !isInPlace(object));
      return until(`${count} integrations in place`, () => missing() === undefined, missing);
    },
    close: async () => {
      await Promise.all([tenants.close(), integrations.close()]);
      await transport.close();
    },
  };
};
