import { Registry } from 'prom-client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { controlMetrics } from '../../../operator/control/metrics.ts';
import { connectKube, type KubeConnection } from '../../../operator/kube/connection.ts';
import { createEventRecorder } from '../../../operator/kube/events.ts';
import { createTransport } from '../../../operator/kube/transport.ts';
import { ApiError, type KubeObject, type ResourceKind } from '../../../operator/reconcile/ports.ts';
import { configMaps, type KubeWorld, newNamespace, quiet, startKubeWorld, until } from './kube-world.ts';

const namespaces: ResourceKind = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false };
const deployments: ResourceKind = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  plural: 'deployments',
  namespaced: true,
};
const manager = 'kanava-operator';

let world: KubeWorld;
let namespace: string;
let kube: KubeConnection;

const configMap = (
  name: string,
  rest: Record<string, unknown> = {},
  metadata: Record<string, unknown> = {},
): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace, ...metadata },
  ...rest,
});
const deployment = (spec: Record<string, unknown> = {}): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'worker', namespace },
  spec: {
    selector: { matchLabels: { app: 'worker' } },
    template: { metadata: { labels: { app: 'worker' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    ...spec,
  },
});
const read = async (name: string, kind = configMaps): Promise<KubeObject> =>
  (await world.direct.request({
    method: 'GET',
    path: `${kind.apiVersion.includes('/') ? '/apis' : '/api'}/${kind.apiVersion}/namespaces/${namespace}/${kind.plural}/${name}`,
  })) as KubeObject;
const managersOf = (object: KubeObject) =>
  object.metadata.managedFields
    ?.map(({ manager, subresource }) => [manager, subresource].filter(Boolean).join('/'))
    .sort();

beforeAll(async () => {
  world = await startKubeWorld();
});
afterAll(() => world?.stop());
beforeEach(async () => {
  namespace = await newNamespace(world);
  const transport = createTransport({ identity: world.proxy.identity, registry: new Registry(), mayWrite: () => true });
  kube = connectKube({ transport, metrics: controlMetrics(new Registry()), log: quiet, instance: 'pod-1' });
});
afterEach(async () => {
  world.proxy.fault(undefined);
  await kube.close();
});

describe('apply', () => {
  test('makes, changes nothing when repeated, and removes what is left out', async () => {
    const made = await kube.cluster.apply(configMap('a', { data: { x: '1', y: '2' } }), { manager });
    const again = await kube.cluster.apply(made, { manager });
    expect(again.metadata.resourceVersion).toBe(made.metadata.resourceVersion);
    await kube.cluster.apply(configMap('a', { data: { y: '2' } }), { manager });
    expect((await read('a'))['data']).toEqual({ y: '2' });
    expect(managersOf(await read('a'))).toEqual(['kanava-operator']);
  });

  test('dry run writes nothing', async () => {
    const answer = await kube.cluster.apply(configMap('a'), { manager, dryRun: true });
    expect(answer.metadata.uid).toBeDefined();
    await expect(read('a')).rejects.toMatchObject({ status: 404 });
  });

  test('the scaler owns the replicas, the status manager the status, the operator the rest', async () => {
    await kube.cluster.apply(deployment({ replicas: 0 }), { manager });
    const scale = await kube.cluster.apply(
      { ...deployment(), spec: { replicas: 3 } },
      { manager: 'kanava-scaler', subresource: 'scale' },
    );
    expect(scale['spec']).toEqual({ replicas: 3 });
    await kube.cluster.apply(deployment(), { manager });
    const status = { ...deployment(), spec: undefined, status: { observedGeneration: 7 } };
    await kube.cluster.apply(status, { manager: 'kanava-operator-status', subresource: 'status' });
    const found = await read('worker', deployments);
    expect(found).toMatchObject({ spec: { replicas: 3 }, status: { observedGeneration: 7 } });
    expect(managersOf(found)).toEqual(['kanava-operator', 'kanava-operator-status/status', 'kanava-scaler/scale']);
  });

  test('a refusal says what and where', async () => {
    const error: unknown = await kube.cluster
      .apply(configMap('a', {}, { labels: { 'not a label!': 'x' } }), { manager })
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({
      status: 422,
      reason: 'Invalid',
      message: expect.stringContaining('metadata.labels'),
    });
  });

  test('kinds are found on the server, one that comes later too', async () => {
    const widget = { apiVersion: 'test.kanava.dev/v1', kind: 'Widget', metadata: { name: 'w', namespace } };
    await expect(kube.cluster.apply(widget, { manager })).rejects.toMatchObject({ status: 404 });
    const names = { plural: 'widgets', singular: 'widget', kind: 'Widget' };
    const openAPIV3Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
    await kube.cluster.apply(
      {
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata: { name: 'widgets.test.kanava.dev' },
        spec: {
          group: 'test.kanava.dev',
          scope: 'Namespaced',
          names,
          versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema } }],
        },
      },
      { manager },
    );
    await until('the kind is served', () =>
      kube.cluster.apply(widget, { manager }).then(
        () => true,
        () => false,
      ),
    );
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.test.kanava.dev';
    await world.direct.request({ method: 'DELETE', path });
    await until('the kind is gone', () => world.direct.request({ method: 'GET', path }).then(() => false, isNotFound));
  });
  const isNotFound = (error: unknown) => error instanceof ApiError && error.status === 404;

  test.each(['..', '.', '', 'a/b'])('a name that would lead elsewhere is refused: %j', async (name) => {
    await expect(kube.cluster.apply(configMap(name), { manager })).rejects.toThrow('cannot be a name');
    await expect(kube.cluster.get(configMaps, 'a', name)).rejects.toThrow('cannot be a name');
  });
});

describe('delete', () => {
  test('only the object with this uid', async () => {
    const { metadata } = await kube.cluster.apply(configMap('a'), { manager });
    const uid = '00000000-0000-0000-0000-000000000000';
    expect(await kube.cluster.delete(configMaps, 'a', namespace, { uid })).toBe('absent');
    expect((await read('a')).metadata.uid).toBe(metadata.uid);
    expect(await kube.cluster.delete(configMaps, 'a', namespace, { uid: metadata.uid ?? '' })).toBe('deleted');
    expect(await kube.cluster.delete(configMaps, 'a', namespace)).toBe('absent');
  });
});

describe('setFinalizer', () => {
  const finalizer = 'kanava.dev/messaging';
  test('adds and removes ours with an old object in hand, and leaves the others', async () => {
    const old = await kube.cluster.apply(configMap('a'), { manager });
    await kube.cluster.apply(configMap('a', {}, { finalizers: ['other.dev/x'] }), { manager: 'other' });
    const held = await kube.cluster.setFinalizer(old, configMaps, finalizer, true);
    expect(held.metadata.finalizers).toEqual(['other.dev/x', finalizer]);
    await kube.cluster.setFinalizer(held, configMaps, finalizer, true);
    await kube.cluster.setFinalizer(held, configMaps, finalizer, false);
    expect((await read('a')).metadata.finalizers).toEqual(['other.dev/x']);
  });
  test('removing it lets a deleted object go; from one that is gone it is no error', async () => {
    const made = await kube.cluster.apply(configMap('a'), { manager });
    const held = await kube.cluster.setFinalizer(made, configMaps, finalizer, true);
    await kube.cluster.delete(configMaps, 'a', namespace);
    expect((await read('a')).metadata.deletionTimestamp).toBeDefined();
    await kube.cluster.setFinalizer(held, configMaps, finalizer, false);
    await expect(read('a')).rejects.toMatchObject({ status: 404 });
    await kube.cluster.setFinalizer(held, configMaps, finalizer, false);
    await kube.cluster.apply(configMap('a'), { manager });
    await kube.cluster.setFinalizer(held, configMaps, finalizer, false);
    await expect(kube.cluster.setFinalizer(made, configMaps, finalizer, true)).rejects.toMatchObject({ status: 409 });
  });
});

describe('get and list', () => {
  const reads = () =>
    world.proxy.requests.filter(({ method, path }) => method === 'GET' && path.includes(`${namespace}/configmaps/`))
      .length;

  test('come from the cache; an own write is in it at once, though the watch is silent', async () => {
    const watch = kube.watch(configMaps, () => {}, { namespace });
    await watch.synced;
    await until('it watches', () => world.proxy.openWatches() > 0);
    world.proxy.freezeWatches();
    const made = await kube.cluster.apply(configMap('a', { data: { n: '1' } }), { manager });
    const got = await kube.cluster.get(configMaps, 'a', namespace);
    expect(got?.metadata.resourceVersion).toBe(made.metadata.resourceVersion);
    expect(Object.isFrozen(got)).toBe(true);
    expect(await kube.cluster.get(configMaps, 'none', namespace)).toBeUndefined();
    expect(kube.cluster.list(configMaps, { namespace })).toHaveLength(1);
    expect(reads()).toBe(0);
  });

  test("a cache by label does not hide somebody else's object of the same name", async () => {
    const labels = { 'app.kubernetes.io/managed-by': 'kanava' };
    const watch = kube.watch(configMaps, () => {}, { labels });
    await watch.synced;
    await kube.cluster.apply(configMap('mine', {}, { labels }), { manager });
    await kube.cluster.apply(configMap('theirs'), { manager: 'other' });
    expect((await kube.cluster.get(configMaps, 'mine', namespace))?.metadata.name).toBe('mine');
    expect(reads()).toBe(0);
    expect((await kube.cluster.get(configMaps, 'theirs', namespace))?.metadata.name).toBe('theirs');
    expect(reads()).toBe(1);
    expect(kube.cluster.list(configMaps, { labels }).map(({ metadata }) => metadata.name)).toContain('mine');
  });

  test('without a cache, before the first list, and after a watch was closed the server is asked', async () => {
    await kube.cluster.apply(configMap('a'), { manager });
    expect((await kube.cluster.get(configMaps, 'a', namespace))?.metadata.name).toBe('a');
    expect(reads()).toBe(1);
    world.proxy.fault(({ path, isWatch }) =>
      !isWatch && path.endsWith(`${namespace}/configmaps`) ? { do: 'answer', status: 503 } : undefined,
    );
    const watch = kube.watch(configMaps, () => {}, { namespace, timings: { backoffMs: [10, 50] } });
    await kube.cluster.get(configMaps, 'a', namespace);
    expect(reads()).toBe(2);
    world.proxy.fault(undefined);
    await watch.synced;
    await kube.cluster.get(configMaps, 'a', namespace);
    expect(reads()).toBe(2);
    await watch.close();
    expect(kube.watches()).toEqual([]);
    await kube.cluster.get(configMaps, 'a', namespace);
    expect(reads()).toBe(3);
    expect((await kube.cluster.get(namespaces, namespace))?.kind).toBe('Namespace');
  });
});

describe('events', () => {
  interface KubeEvent extends KubeObject {
    readonly reason: string;
    readonly note: string;
    readonly series?: { readonly count: number };
  }
  const eventsIn = async (where: string, uid: string | undefined) => {
    const path = `/apis/events.k8s.io/v1/namespaces/${where}/events`;
    const { items } = (await world.direct.request({ method: 'GET', path })) as { items: KubeEvent[] };
    return items.filter((event) => (event['regarding'] as { uid?: string }).uid === uid);
  };
  const writes = () =>
    world.proxy.requests.filter(({ method, path }) => method !== 'GET' && path.includes('/events')).length;

  test('ten thousand equal failures are a few writes and one event with its count', async () => {
    const about = await kube.cluster.apply(configMap('a'), { manager });
    const before = writes();
    const transport = createTransport({
      identity: world.proxy.identity,
      registry: new Registry(),
      mayWrite: () => true,
    });
    const recorder = createEventRecorder({
      transport,
      log: quiet,
      controller: 'kanava.dev/operator',
      instance: 'pod-1',
    });
    for (let i = 0; i < 10_000; i++) recorder.record(about, { type: 'Warning', reason: 'Broken', message: 'the same' });
    await recorder.close();
    await transport.close();
    expect(writes() - before).toBeLessThanOrEqual(10);
    const [event, ...others] = await eventsIn(namespace, about.metadata.uid);
    expect(others).toEqual([]);
    expect(event).toMatchObject({ reason: 'Broken', note: 'the same', type: 'Warning', series: { count: 10_000 } });
    expect(event).toMatchObject({ reportingController: 'kanava.dev/operator', reportingInstance: 'pod-1' });
  });

  test('a thousand different ones about one object are 25, and another object still speaks', async () => {
    const about = await kube.cluster.apply(configMap('a'), { manager });
    const other = await kube.cluster.apply(configMap('b'), { manager });
    for (let i = 0; i < 1000; i++) kube.cluster.event(about, { type: 'Warning', reason: 'Broken', message: `nr ${i}` });
    kube.cluster.event(other, { type: 'Normal', reason: 'Fine', message: 'x'.repeat(5000) });
    await until('the other spoke', async () => (await eventsIn(namespace, other.metadata.uid)).length === 1);
    expect(await eventsIn(namespace, about.metadata.uid)).toHaveLength(25);
    expect((await eventsIn(namespace, other.metadata.uid))[0]?.note).toHaveLength(1024);
  });

  test('those of cluster-scoped objects are in default', async () => {
    const about = await kube.cluster.get(namespaces, namespace);
    if (!about) throw new Error('the namespace is not there');
    kube.cluster.event(about, { type: 'Normal', reason: 'Ready', message: 'it is' });
    await until('it is there', async () => (await eventsIn('default', about.metadata.uid)).length === 1);
  });

  test('a failure to write one throws nothing, and the next occurrence tries again', async () => {
    const about = await kube.cluster.apply(configMap('a'), { manager });
    const say = () => kube.cluster.event(about, { type: 'Normal', reason: 'Ready', message: 'it is' });
    let refused = 0;
    world.proxy.fault(({ path }) =>
      path.includes('/events') && refused++ < 1 ? { do: 'answer', status: 403 } : undefined,
    );
    say();
    await until('it was refused', () => refused > 0);
    await until('it is there', async () => {
      say();
      return (await eventsIn(namespace, about.metadata.uid)).length === 1;
    });
  });
});
