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
  const byKind = new Map<string, Map<string, readonly Cache[]>>();
  const change = (name: string, namespace = '', changed: (caches: readonly Cache[]) => readonly Cache[]) => {
    const ofKind = byKind.get(name) ?? new Map<string, readonly Cache[]>();
    const caches = changed(ofKind.get(namespace) ?? []);
    byKind.set(name, ofKind);
    if (caches.length > 0) ofKind.set(namespace, caches);
    else ofKind.delete(namespace);
  };
  /** Asked for at every read, so it makes nothing anew for the kinds that are watched as a whole. */
  const holding: ClusterOptions['caches'] = (kind, namespace) => {
    const ofKind = byKind.get(resourceName(kind));
    if (!ofKind) return [];
    if (namespace === undefined) return [...ofKind.values()].flat();
    const [everywhere = [], here = []] = [ofKind.get(''), ofKind.get(namespace)];
    if (here.length === 0) return everywhere;
    return everywhere.length === 0 ? here : [...everywhere, ...here];
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
          change(started.name, namespace, (caches) => caches.filter((one) => one !== cache));
          await started.close();
        },
      };
      const cache: Cache = { kind, scope, watch };
      open.set(watch, cache);
      change(started.name, namespace, (caches) => [...caches, cache]);
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
