import type { ResourceKind } from '../reconcile/ports.ts';

/* The built-in kinds that an operator's plans are made of. Kinds of `kanava.dev` are in operator/api/meta.ts. */
const namespacedKind = (apiVersion: string, kind: string, plural: string): ResourceKind => ({
  apiVersion,
  kind,
  plural,
  namespaced: true,
});

export const Namespaces: ResourceKind = {
  apiVersion: 'v1',
  kind: 'Namespace',
  plural: 'namespaces',
  namespaced: false,
};
export const Secrets = namespacedKind('v1', 'Secret', 'secrets');
export const ConfigMaps = namespacedKind('v1', 'ConfigMap', 'configmaps');
export const Services = namespacedKind('v1', 'Service', 'services');
export const ServiceAccounts = namespacedKind('v1', 'ServiceAccount', 'serviceaccounts');
export const ResourceQuotas = namespacedKind('v1', 'ResourceQuota', 'resourcequotas');
export const LimitRanges = namespacedKind('v1', 'LimitRange', 'limitranges');
/** Made by Deployments, never by a plan. */
export const Pods = namespacedKind('v1', 'Pod', 'pods');
export const Deployments = namespacedKind('apps/v1', 'Deployment', 'deployments');
export const ReplicaSets = namespacedKind('apps/v1', 'ReplicaSet', 'replicasets');
export const NetworkPolicies = namespacedKind('networking.k8s.io/v1', 'NetworkPolicy', 'networkpolicies');
export const RoleBindings = namespacedKind('rbac.authorization.k8s.io/v1', 'RoleBinding', 'rolebindings');

// biome-ignore format: a list, not a column
const all = [
  Namespaces, Secrets, ConfigMaps, Services, ServiceAccounts, ResourceQuotas, LimitRanges,
  Deployments, ReplicaSets, NetworkPolicies, RoleBindings,
];
export const kindOf = (object: { readonly kind: string }): ResourceKind => {
  const found = all.find(({ kind }) => kind === object.kind);
  if (!found) throw new Error(`plans make no ${object.kind}; add the kind to operator/plan/kinds.ts`);
  return found;
};
