import type { ConditionReason } from '../api/conditions.ts';
import type { KubeObject } from '../reconcile/ports.ts';
import { adoptAnnotation, managedBy, tenantLabel } from './children.ts';
import { Namespaces } from './kinds.ts';

const podSecurity = Object.fromEntries(
  ['enforce', 'audit', 'warn'].map((mode) => [`pod-security.kubernetes.io/${mode}`, 'restricted']),
);

/** No ownerReference: deleting the Tenant in the foreground would take the namespace away under our feet. */
export const planNamespace = (tenant: string, namespace: string): KubeObject => ({
  apiVersion: Namespaces.apiVersion,
  kind: Namespaces.kind,
  metadata: { name: namespace, labels: { ...managedBy, [tenantLabel]: tenant, ...podSecurity } },
});

export interface Claim {
  readonly tenant: string;
  readonly namespace: string;
  /** RFC 3339, or absent for an object that was never stored. */
  readonly since: string | undefined;
}

/** Of several Tenants that want one namespace the oldest has it; equal ages are settled by name. */
export const claimWinner = (namespace: string, claims: readonly Claim[]): string | undefined =>
  claims
    .filter((claim) => claim.namespace === namespace)
    .sort((a, b) => compare(a.since ?? '9', b.since ?? '9') || compare(a.tenant, b.tenant))[0]?.tenant;
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export interface NamespaceRequest {
  readonly tenant: string;
  readonly namespace: string;
  readonly adopt: boolean;
  readonly operatorNamespace: string;
  readonly claims: readonly Claim[];
  readonly live: KubeObject | undefined;
}
export interface Refusal {
  readonly reason: Exclude<ConditionReason<'NamespaceReady'>, 'Ready' | 'Waiting'>;
  readonly message: string;
}

/** Whether the tenant may have the namespace: checks in order, the first that refuses says why and what to do. */
export const namespaceRefusal = (request: NamespaceRequest): Refusal | undefined => {
  for (const check of [reserved, taken, terminating, foreign]) {
    const refusal = check(request);
    if (refusal) return refusal;
  }
  return undefined;
};

const reserved = ({ namespace, operatorNamespace }: NamespaceRequest): Refusal | undefined =>
  namespace === 'default' || namespace.startsWith('kube-') || namespace === operatorNamespace
    ? {
        reason: 'NamespaceReserved',
        message: `spec.namespace.name: ${namespace} belongs to the cluster or to the operator; delete this Tenant and create one with another namespace`,
      }
    : undefined;

const taken = ({ tenant, namespace, claims }: NamespaceRequest): Refusal | undefined => {
  const winner = claimWinner(namespace, claims);
  return winner === undefined || winner === tenant
    ? undefined
    : {
        reason: 'NamespaceTaken',
        message: `spec.namespace.name: ${namespace} belongs to the older Tenant ${winner}; delete this Tenant and create one with another namespace`,
      };
};

const terminating = ({ namespace, live }: NamespaceRequest): Refusal | undefined =>
  live?.metadata.deletionTimestamp === undefined
    ? undefined
    : {
        reason: 'Terminating',
        message: `namespace ${namespace} is being deleted; it is created again when it is gone`,
      };

const foreign = ({ tenant, namespace, adopt, live }: NamespaceRequest): Refusal | undefined => {
  if (live === undefined || live.metadata.labels?.[tenantLabel] === tenant) return undefined;
  if (adopt && live.metadata.annotations?.[adoptAnnotation] === tenant) return undefined;
  return {
    reason: 'AdoptionNotAllowed',
    message: `namespace ${namespace} exists and is not of this Tenant; to hand it over, set spec.namespace.adopt: true and let its owner annotate it: kubectl annotate namespace ${namespace} ${adoptAnnotation}=${tenant}`,
  };
};
