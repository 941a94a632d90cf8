import { Connections, Integrations, Tenants } from '../api/meta.ts';
import { managedBy } from '../plan/children.ts';
import {
  ConfigMaps,
  Deployments,
  LimitRanges,
  Namespaces,
  NetworkPolicies,
  ReplicaSets,
  ResourceQuotas,
  RoleBindings,
  Secrets,
  ServiceAccounts,
  Services,
} from '../plan/kinds.ts';
import { withReplicasOwners } from '../plan/scaling.ts';
import type { KubeObject, ResourceKind } from './ports.ts';
import type { Change, wakers } from './wake.ts';

export interface Watched {
  readonly kind: ResourceKind;
  readonly onChange: (change: Change) => void;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** What of an object is kept. */
  readonly trim?: (object: KubeObject) => KubeObject;
}

/** Everything that is watched from the start: objects of users, and children by label. Secrets of tenants follow one by one. */
export const watched = (wake: ReturnType<typeof wakers>, operatorNamespace: string): Watched[] => [
  { kind: Tenants, onChange: wake.tenant },
  { kind: Integrations, onChange: wake.integration },
  { kind: Connections, onChange: wake.connection },
  // All of them: one that is to be adopted carries no label of ours yet.
  { kind: Namespaces, onChange: wake.namespace },
  { kind: Deployments, onChange: wake.child, labels: managedBy, trim: withReplicasOwners },
  { kind: ConfigMaps, onChange: wake.child, labels: managedBy, trim: withoutFlow },
  ...[ReplicaSets, Services, ServiceAccounts, NetworkPolicies, RoleBindings, ResourceQuotas, LimitRanges].map(
    (kind) => ({ kind, onChange: wake.child, labels: managedBy }),
  ),
  { kind: Secrets, onChange: wake.secret, labels: managedBy, namespace: operatorNamespace },
];

/** A flow may be large, is immutable and named by what is in it: that it is there is all that is ever asked. */
const withoutFlow = (object: KubeObject): KubeObject => {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata, ...(object['immutable'] === true ? { data: {} } : {}) };
};
