import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { type ListWatch, type ListWatchOptions, startListWatch } from '../../../operator/control/list-watch.ts';
import { type ControlMetrics, controlMetrics } from '../../../operator/control/metrics.ts';
import type { Change } from '../../../operator/control/store.ts';
import { loadIdentity } from '../../../operator/kube/identity.ts';
import { objectSource, type Scope } from '../../../operator/kube/object-source.ts';
import { createTransport, type Transport } from '../../../operator/kube/transport.ts';
import type { KubeObject, ResourceKind } from '../../../operator/reconcile/ports.ts';
import type { KubeApi } from '../../cluster/kube-api.ts';
import { borrowServer } from '../api/shared-server.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';

export const configMaps: ResourceKind = { apiVersion: 'v1', kind: 'ConfigMap', plural: 'configmaps', namespaced: true };
export const quiet = pino({ level: process.env['KANAVA_TEST_LOG'] ?? 'silent' });

/** Waits for the condition; says which one did not come. */
export const until = async (what: string, condition: () => unknown, ms = 90_000): Promise<void> => {
  const end = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`after ${ms} ms still not: ${what}`);
    await sleep(10);
  }
};

/** A real API server, the faults in front of it, and an administrator's way past them. */
export interface KubeWorld<Api extends KubeApi = KubeApi> {
  readonly api: Api;
  readonly proxy: FaultProxy;
  /** Through the proxy. */
  readonly transport: Transport;
  /** Past the proxy. */
  readonly direct: Transport;
  stop(): Promise<void>;
}
export const startKubeWorld = async (): Promise<KubeWorld> => kubeWorld(await borrowServer());
export const kubeWorld = async <Api extends KubeApi>(api: Api): Promise<KubeWorld<Api>> => {
  const proxy = await startFaultProxy(api);
  const always = { mayWrite: () => true };
  const transport = createTransport({
    identity: proxy.identity,
    registry: new Registry(),
    streams: { headersMs: 800, pingMs: 300, pongMs: 500 },
    attemptMs: 1500,
    ...always,
  });
  const identity = await loadIdentity({ kubeconfig: api.kubeconfig, env: {} });
  const direct = createTransport({ identity, registry: new Registry(), ...always });
  return {
    api,
    proxy,
    transport,
    direct,
    stop: async () => {
      await Promise.all([transport.close(), direct.close()]);
      await proxy.close();
      await api.stop();
    },
  };
};

export const newNamespace = async ({ direct }: KubeWorld): Promise<string> => {
  const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { generateName: 'test-' } };
  const created = await direct.request({ method: 'POST', path: '/api/v1/namespaces', body });
  return (created as KubeObject).metadata.name;
};

/** ConfigMaps of one namespace, written past the proxy. */
export const configMapsOf = ({ direct }: KubeWorld, namespace: string) => {
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  return {
    put: async (name: string, data: Record<string, string> = {}, labels: Record<string, string> = {}) =>
      (await direct.request({
        method: 'PATCH',
        path: `${path}/${name}`,
        query: { fieldManager: 'test', force: 'true' },
        contentType: 'application/apply-patch+yaml',
        body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace, labels }, data },
      })) as KubeObject,
    remove: (name: string) => direct.request({ method: 'DELETE', path: `${path}/${name}` }),
    /** `name@resourceVersion` of all, sorted. */
    versions: async () => {
      const list = (await direct.request({ method: 'GET', path })) as { items: KubeObject[] };
      return list.items.map(({ metadata }) => `${metadata.name}@${metadata.resourceVersion}`).sort();
    },
  };
};

export interface Observed {
  readonly watch: ListWatch;
  readonly changes: Change[];
  readonly metrics: ControlMetrics;
  /** `type name uid` of all changes. */
  log(): string[];
  versions(): string[];
}
export const fast: NonNullable<ListWatchOptions['timings']> = {
  backoffMs: [20, 200],
  silenceMs: 500_000,
  restoredMs: 60_000,
};
export const observe = (
  { transport }: KubeWorld,
  scope: Scope,
  options: Partial<ListWatchOptions> & { readonly kind?: ResourceKind } = {},
): Observed => {
  const metrics = controlMetrics(new Registry());
  const changes: Change[] = [];
  const watch = startListWatch({
    name: 'configmaps',
    source: objectSource(transport, options.kind ?? configMaps, scope),
    onChange: (change) => void changes.push(change),
    metrics,
    log: quiet,
    ...scope,
    ...options,
    timings: { ...fast, ...options.timings },
  });
  return {
    watch,
    changes,
    metrics,
    log: () => changes.map(({ type, object }) => `${type} ${object.metadata.name} ${object.metadata.uid}`),
    versions: () =>
      watch
        .list()
        .map(({ metadata }) => `${metadata.name}@${metadata.resourceVersion}`)
        .sort(),
  };
};
/** Value of a counter, over all labels. */
export const total = async (counter: { get(): Promise<{ values: { value: number }[] }> }): Promise<number> =>
  (await counter.get()).values.reduce((sum, { value }) => sum + value, 0);
