import type { ObjectSource } from '../control/list-watch.ts';
import type { ResourceKind } from '../reconcile/ports.ts';
import { apiPath } from './api-path.ts';
import type { Transport } from './transport.ts';

/** A collection, or the part of it in one namespace and with these labels. */
export interface Scope {
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

export const objectSource = (transport: Transport, kind: ResourceKind, scope: Scope = {}): ObjectSource => {
  const path = apiPath(kind, { namespace: scope.namespace });
  const labelSelector = Object.entries(scope.labels ?? {})
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
  const scoped = (query: Readonly<Record<string, string>>) => (labelSelector ? { ...query, labelSelector } : query);
  return {
    list: (query, signal) =>
      transport.request({ method: 'GET', path, query: scoped(query), timeoutMs: 60_000, signal }),
    watch: (query, signal) => transport.stream({ path, query: scoped(query), signal }),
  };
};
