import { ownRoleName, planOwnRoleBinding } from '../plan/role-bindings.ts';
import type { Settings } from '../settings.ts';
import { ApiError, type Cluster } from './ports.ts';

/**
 * The right to bind our own role is a right to all Secrets, unless the ValidatingAdmissionPolicy of the chart keeps it to tenant
 * namespaces. Helm makes the Deployment before the policy, so it is asked for before anything is written. Returns what is wrong.
 */
export const wallProblem = async (cluster: Cluster, settings: Settings): Promise<string | undefined> => {
  const binding = planOwnRoleBinding({ tenant: 'none', namespace: 'kube-system' }, settings);
  try {
    await cluster.apply(binding, { manager: 'kanava-operator', dryRun: true });
  } catch (error) {
    if (error instanceof ApiError && (error.status === 403 || error.status === 422)) return undefined;
    throw error;
  }
  return `a RoleBinding of ${ownRoleName} in kube-system would be accepted, so this operator could read every Secret of the cluster: the ValidatingAdmissionPolicy and its binding of the chart kanava are missing or not active yet`;
};
