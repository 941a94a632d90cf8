import type { ListWatch } from '../control/list-watch.ts';
import { isNewer } from '../control/store.ts';
import { ApiError, type Cluster, type KubeObject, type ResourceKind } from '../reconcile/ports.ts';
import { apiPath } from './api-path.ts';
import { createDiscovery } from './discovery.ts';
import type { EventRecorder } from './events.ts';
import type { Scope } from './object-source.ts';
import type { ApiRequest, Transport } from './transport.ts';

/** A cache and what of its kind it holds. Without a scope: everything. */
export interface Cache {
  readonly kind: Pick<ResourceKind, 'apiVersion' | 'plural'>;
  readonly scope: Scope;
  readonly watch: Pick<ListWatch, 'get' | 'list' | 'size' | 'hasSynced' | 'writing' | 'observe' | 'expect'>;
}
export interface ClusterOptions {
  readonly transport: Transport;
  /** Those that may hold objects of the namespace; of all without one. Asked for each read: watches come and go with tenants. */
  readonly caches: (kind: Cache['kind'], namespace: string | undefined) => readonly Cache[];
  readonly events: EventRecorder;
}

const conflicts = 3;
const fieldManager = 'kanava-operator';

const isStatus = (error: unknown, status: number): boolean => error instanceof ApiError && error.status === status;

/** What a field manager sends: managedFields are the server's to write. */
const applied = (object: KubeObject): KubeObject => {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
};
const scaleOf = ({ metadata, spec }: KubeObject) => ({
  apiVersion: 'autoscaling/v1',
  kind: 'Scale',
  metadata: { name: metadata.name, namespace: metadata.namespace },
  spec: { replicas: (spec as { replicas?: number } | undefined)?.replicas ?? 0 },
});

export const createCluster = ({ transport, caches, events }: ClusterOptions): Cluster => {
  const discover = createDiscovery(transport);

  const read = async (kind: ResourceKind, name: string, namespace?: string): Promise<KubeObject | undefined> => {
    try {
      return (await transport.request({ method: 'GET', path: apiPath(kind, { namespace, name }) })) as KubeObject;
    } catch (error) {
      if (isStatus(error, 404)) return undefined;
      throw error;
    }
  };
  type TakeUp = (watch: Cache['watch'], answer: KubeObject) => Promise<void>;
  /** The answer to a write goes into the caches: the next reconcile must not decide by what was before it. */
  const remember: TakeUp = (watch, answer) => {
    watch.observe(answer);
    return Promise.resolve();
  };
  /** That of a write to the scale is a Scale, of another kind than what is cached, and has the version of it. */
  const expect: TakeUp = (watch, { metadata }) =>
    metadata.resourceVersion ? watch.expect(metadata.resourceVersion) : Promise.resolve();
  const write = async (
    { kind, metadata, takeUp }: { kind: ResourceKind; metadata: KubeObject['metadata']; takeUp: TakeUp },
    request: ApiRequest,
  ): Promise<KubeObject> => {
    const { name, namespace } = metadata;
    const watches = caches(kind, namespace).map(({ watch }) => watch);
    const ends = watches.map((watch) => watch.writing({ name, namespace }));
    let answer: KubeObject;
    let takenUp: readonly Promise<void>[];
    try {
      answer = (await transport.request(request)) as KubeObject;
      takenUp = watches.map((watch) => takeUp(watch, answer));
    } finally {
      for (const end of ends) end();
    }
    await Promise.all(takenUp);
    return answer;
  };

  return {
    get: async (kind, name, namespace) => {
      for (const { scope, watch } of caches(kind, namespace)) {
        if (!watch.hasSynced()) continue;
        const found = watch.get(name, namespace);
        if (found) return found;
        // Where only some labels are watched, one that is not there may still be on the server: somebody else's of the same name.
        if (!scope.labels) return undefined;
      }
      return read(kind, name, namespace);
    },
    cached: (kind, name, namespace) => {
      for (const { watch } of caches(kind, namespace)) {
        const found = watch.get(name, namespace);
        if (found) return found;
      }
      return undefined;
    },
    list: (kind, options = {}) => {
      const [first, ...others] = caches(kind, options.namespace);
      if (others.length === 0) return first?.watch.list(options) ?? [];
      const found = new Map<string, KubeObject>();
      for (const { watch } of [first, ...others] as Cache[])
        for (const object of watch.list(options)) {
          const key = `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
          const known = found.get(key)?.metadata.resourceVersion;
          if (!known || isNewer(object.metadata.resourceVersion ?? '', known)) found.set(key, object);
        }
      return [...found.values()];
    },
    count: (kind) => caches(kind, undefined).reduce((sum, { watch }) => sum + watch.size(), 0),
    read: async (kind, { namespace, labels }) => {
      const labelSelector = Object.entries(labels)
        .map(([name, value]) => `${name}=${value}`)
        .join(',');
      const path = apiPath(kind, { namespace });
      const { items } = (await transport.request({ method: 'GET', path, query: { labelSelector } })) as {
        items: KubeObject[];
      };
      return items;
    },
    annotate: async (kind, { metadata }, annotations) => {
      if (Object.entries(annotations).every(([name, value]) => metadata.annotations?.[name] === value)) return;
      try {
        await transport.request({
          method: 'PATCH',
          path: apiPath(kind, { namespace: metadata.namespace, name: metadata.name }),
          query: { fieldManager },
          contentType: 'application/merge-patch+json',
          // With the uid, a patch cannot hit another object of that name.
          body: { metadata: { uid: metadata.uid, annotations } },
        });
      } catch (error) {
        if (!isStatus(error, 404) && !isStatus(error, 409)) throw error;
      }
    },
    apply: async (object, { manager, subresource, dryRun }) => {
      const kind = await discover(object);
      const { name, namespace } = object.metadata;
      const request: ApiRequest = {
        method: 'PATCH',
        path: apiPath(kind, { namespace, name, subresource }),
        query: { fieldManager: manager, force: 'true', dryRun: dryRun ? 'All' : undefined },
        // JSON is YAML, and cheaper.
        contentType: 'application/apply-patch+yaml',
        body: subresource === 'scale' ? scaleOf(object) : applied(object),
        idempotent: true,
      };
      if (dryRun) return (await transport.request(request)) as KubeObject;
      return write({ kind, metadata: object.metadata, takeUp: subresource === 'scale' ? expect : remember }, request);
    },
    delete: async (kind, name, namespace, options = {}) => {
      try {
        await transport.request({
          method: 'DELETE',
          path: apiPath(kind, { namespace, name }),
          body: {
            apiVersion: 'v1',
            kind: 'DeleteOptions',
            propagationPolicy: 'Background',
            ...(options.uid && { preconditions: { uid: options.uid } }),
          },
          // With the uid a second one cannot hit an object that was made since.
          idempotent: options.uid !== undefined,
        });
        return 'deleted';
      } catch (error) {
        // 409 with a precondition: an object of that uid is not there any more.
        if (isStatus(error, 404) || (options.uid && isStatus(error, 409))) return 'absent';
        throw error;
      }
    },
    setFinalizer: async (object, kind, finalizer, present) => {
      const { name, namespace, uid } = object.metadata;
      let current = object;
      for (let tried = 1; ; tried++) {
        const old = current.metadata.finalizers ?? [];
        if (old.includes(finalizer) === present) return current;
        const finalizers = present ? [...old, finalizer] : old.filter((other) => other !== finalizer);
        try {
          return await write(
            { kind, metadata: current.metadata, takeUp: remember },
            {
              method: 'PATCH',
              path: apiPath(kind, { namespace, name }),
              query: { fieldManager },
              contentType: 'application/merge-patch+json',
              body: { metadata: { resourceVersion: current.metadata.resourceVersion, uid, finalizers } },
            },
          );
        } catch (error) {
          // The last finalizer is off and the object gone: what was wanted.
          if (!present && isStatus(error, 404)) return current;
          if (!isStatus(error, 409) || tried >= conflicts) throw error;
          const fresh = await read(kind, name, namespace);
          if (fresh?.metadata.uid !== uid && !present) return current;
          if (!fresh || fresh.metadata.uid !== uid) throw error;
          current = fresh;
        }
      }
    },
    event: events.record,
  };
};
