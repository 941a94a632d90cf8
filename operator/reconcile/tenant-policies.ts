import type { EffectiveTenant } from '../api/effective.ts';
import { rememberedWith } from '../api/remembered.ts';
import { managedBy, tenantLabel } from '../plan/children.ts';
import { type Verdict, verdict } from '../plan/conditions.ts';
import { NetworkPolicies, RoleBindings } from '../plan/kinds.ts';
import { planNetworkPolicies } from '../plan/network-policies.ts';
import { planQuota } from '../plan/quota.ts';
import { planMemberBindings, planOwnRoleBinding } from '../plan/role-bindings.ts';
import { applyChild, deleteChild } from './apply.ts';
import type { Context } from './context.ts';
import { ApiError, type KubeObject } from './ports.ts';

const walls = rememberedWith<{ own: KubeObject; planned: KubeObject[] }>();

/** Closes the namespace before anything is in it. What is not planned any more goes: an old opening would stay open. */
export const ensurePolicies = async (
  { cluster, settings, secretWatches }: Context,
  tenant: string,
  spec: EffectiveTenant,
): Promise<Verdict<'PoliciesReady'>> => {
  const namespace = spec.namespace.name;
  const home = { tenant, namespace };
  const { own, planned } = walls(spec, [tenant, settings], () => ({
    own: planOwnRoleBinding(home, settings),
    planned: [
      ...planNetworkPolicies(home, spec, settings.config),
      ...planQuota(home, spec),
      ...planMemberBindings(home, spec.members),
    ],
  }));
  try {
    await applyChild(cluster, own);
    for (const object of planned) await applyChild(cluster, object);
    await secretWatches.open(namespace);
  } catch (error) {
    // The controller's back-off would hide from the status what somebody can mend.
    if (error instanceof ApiError && error.status === 422)
      return verdict('PoliciesReady', 'False', 'Refused', `the API server refused: ${error.message}`);
    // A namespace's label and our binding in it take a moment until the API server goes by them.
    if (error instanceof ApiError && error.status === 403)
      return verdict('PoliciesReady', 'Unknown', 'Waiting', `not allowed yet: ${error.message}`);
    throw error;
  }
  const isPlanned = ({ kind, metadata }: KubeObject) =>
    [own, ...planned].some((object) => object.kind === kind && object.metadata.name === metadata.name);
  const labels = { ...managedBy, [tenantLabel]: tenant };
  for (const kind of [NetworkPolicies, RoleBindings])
    for (const object of cluster.list(kind, { namespace, labels }))
      if (!isPlanned(object)) await deleteChild(cluster, object);
  return verdict('PoliciesReady', 'True', 'Ready');
};
