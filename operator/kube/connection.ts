import type { Logger } from 'pino';
import { type ListWatch, type ListWatchOptions, startListWatch } from '../control/list-watch.ts';
import type { ControlMetrics } from '../control/metrics.ts';
import type { Cluster, ResourceKind } from '../reconcile/ports.ts';
import { resourceName } from './api-path.ts';
import { type Cache, createCluster } from './cluster.ts';
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
  /** By resource name. One kind may have hundreds: Secrets are watched by namespace. */
  const byKind = new Map<string, Set<Cache>>();
  const events = createEventRecorder({ transport, log, controller: 'kanava.dev/operator', instance });
  return {
    cluster: createCluster({ transport, caches: (kind) => byKind.get(resourceName(kind)) ?? [], events }),
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
          byKind.get(started.name)?.delete(cache);
          await started.close();
        },
      };
      const cache: Cache = { kind, scope, watch };
      open.set(watch, cache);
      const same = byKind.get(started.name) ?? new Set();
      byKind.set(started.name, same.add(cache));
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
