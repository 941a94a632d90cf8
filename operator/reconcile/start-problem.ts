import { crdName, kinds, schemaRevisionAnnotation } from '../api/meta.ts';
import { fieldManager } from '../plan/children.ts';
import { ownRoleName, planOwnRoleBinding } from '../plan/role-bindings.ts';
import type { Settings } from '../settings.ts';
import { ApiError, type Cluster, type ResourceKind } from './ports.ts';

const Crds: ResourceKind = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
};

/** What must hold before anything is written; says what is wrong and what to do. */
export const startProblem = async (
  cluster: Cluster,
  settings: Settings,
  revision: number,
): Promise<string | undefined> => (await wallProblem(cluster, settings)) ?? schemaProblem(cluster, revision);

/**
 * The right to bind our own role is a right to all Secrets, unless the ValidatingAdmissionPolicy of the chart keeps it to tenant
 * namespaces. Helm makes the Deployment before the policy, so it is asked for before anything is written.
 */
const wallProblem = async (cluster: Cluster, settings: Settings): Promise<string | undefined> => {
  const binding = planOwnRoleBinding({ tenant: 'none', namespace: 'kube-system' }, settings);
  try {
    await cluster.apply(binding, { manager: fieldManager, dryRun: true });
  } catch (error) {
    if (error instanceof ApiError && (error.status === 403 || error.status === 422)) return undefined;
    throw error;
  }
  return `a RoleBinding of ${ownRoleName} in kube-system would be accepted, so this operator could read every Secret of the cluster: the ValidatingAdmissionPolicy kanava-bindings of the chart or its binding is missing or not in effect yet; install the whole chart`;
};

/** With a smaller schema than ours each write would erase fields that users wrote. */
const schemaProblem = async (cluster: Cluster, revision: number): Promise<string | undefined> => {
  for (const kind of kinds) {
    const crd = await cluster.get(Crds, crdName(kind));
    const stored = Number(crd?.metadata.annotations?.[schemaRevisionAnnotation] ?? 0);
    if (!(stored >= revision))
      return `CustomResourceDefinition ${crdName(kind)} has schema revision ${stored} and this operator needs ${revision}; install the CRDs of this version first`;
  }
  return undefined;
};
