import type { EffectiveTenant } from '../api/effective.ts';
import type { KubeObject } from '../reconcile/ports.ts';
import { child, type Home } from './children.ts';
import { RoleBindings } from './kinds.ts';

const memberRoles = { Viewer: 'kanava-viewer', Operator: 'kanava-member-operator', Editor: 'kanava-editor' } as const;
export const ownRoleName = 'kanava-operator-tenant';
const rbac = 'rbac.authorization.k8s.io';

/** The operator's own right to the Secrets of this one namespace; it is applied first, everything else may need it. */
export const planOwnRoleBinding = (home: Home, operator: { serviceAccount: string; namespace: string }): KubeObject =>
  binding(home, ownRoleName, [
    { kind: 'ServiceAccount', name: operator.serviceAccount, namespace: operator.namespace },
  ]);

/** One binding a role; roles without members have none. */
export const planMemberBindings = (home: Home, members: EffectiveTenant['members']): KubeObject[] =>
  Object.entries(memberRoles).flatMap(([role, clusterRole]) => {
    const subjects = members
      .filter((member) => member.role === role)
      .map((member) => ({ kind: member.kind, name: member.name, apiGroup: rbac }));
    return subjects.length === 0 ? [] : [binding(home, clusterRole, subjects)];
  });

const binding = (home: Home, clusterRole: string, subjects: readonly Record<string, string>[]): KubeObject =>
  child(RoleBindings, home, clusterRole, {
    roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: clusterRole },
    subjects,
  });
