import type { Logger } from 'pino';
import { type ListWatch, type ListWatchOptions, startListWatch } from '../control/list-watch.ts';
import type { ControlMetrics } from '../control/metrics.ts';
import type { Cluster, ResourceKind } from '../reconcile/ports.ts';
import { resourceName } from './api-path.ts';
import { type Cache, type ClusterOptions, createCluster } from './cluster.ts';
import { createEventRecorder } from './events.ts';
import { objectSource, type Scope } from './object-source.ts';
import type { Transport } from './transport.ts';

export interface KubeConnection {
  readonly cluster: Cluster;
  /** Watches (part of) a kind; `cluster` reads it from this cache from the first list on, until the watch is closed. */
  watch(
    kind: ResourceKind,
    onChange: ListWatchOptions['onChange'],
    options?: Scope & Pick<ListWatchOptions, 'trim' | 'timings'>,
  ): ListWatch;
  /** All that are open. */
  watches(): ListWatch[];
  /** Closes the watches, writes the last events, closes the connections. */
  close(): Promise<void>;
}

/** Ties transport, caches and events together. */
export const connectKube = (options: {
  readonly transport: Transport;
  readonly metrics: ControlMetrics;
  readonly log: Logger;
  /** Pod name, for events. */
  readonly instance: string;
}): KubeConnection => {
  const { transport, metrics, log, instance } = options;
  const open = new Map<ListWatch, Cache>();
  /** By resource name, then by namespace ('' = all). One kind may have hundreds: Secrets are watched by namespace. */
  const byKind = new Map<string, Map<string, Set<Cache>>>();
  const cachesOf = (name: string, namespace = ''): Set<Cache> => {
    const ofKind = byKind.get(name) ?? new Map<string, Set<Cache>>();
    const found = ofKind.get(namespace) ?? new Set();
    byKind.set(name, ofKind.set(namespace, found));
    return found;
  };
  const holding: ClusterOptions['caches'] = (kind, namespace) => {
    const ofKind = byKind.get(resourceName(kind));
    if (!ofKind) return [];
    if (namespace === undefined) return [...ofKind.values()].flatMap((found) => [...found]);
    return [...(ofKind.get('') ?? []), ...(ofKind.get(namespace) ?? [])];
  };
  const events = createEventRecorder({ transport, log, controller: 'kanava.dev/operator', instance });
  return {
    cluster: createCluster({ transport, caches: holding, events }),
    watch: (kind, onChange, { namespace, labels, ...rest } = {}) => {
      const scope: Scope = { ...(namespace !== undefined && { namespace }), ...(labels && { labels }) };
      const started = startListWatch({
        name: resourceName(kind),
        source: objectSource(transport, kind, scope),
        onChange,
        metrics,
        log,
        ...scope,
        ...rest,
      });
      const watch: ListWatch = {
        ...started,
        close: async () => {
          open.delete(watch);
          cachesOf(started.name, namespace).delete(cache);
          if (cachesOf(started.name, namespace).size === 0) byKind.get(started.name)?.delete(namespace ?? '');
          await started.close();
        },
      };
      const cache: Cache = { kind, scope, watch };
      open.set(watch, cache);
      cachesOf(started.name, namespace).add(cache);
      return watch;
    },
    watches: () => [...open.keys()],
    close: async () => {
      await Promise.all([...open.keys()].map((watch) => watch.close()));
      await events.close();
      await transport.close();
    },
  };
};
