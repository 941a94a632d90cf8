import { Registry } from 'prom-client';
import { kinds } from '../../../operator/api/meta.ts';
import { apiPath, resourceName } from '../../../operator/kube/api-path.ts';
import { loadIdentity } from '../../../operator/kube/identity.ts';
import { createTransport } from '../../../operator/kube/transport.ts';
import * as builtIn from '../../../operator/plan/kinds.ts';
import { ApiError, type KubeObject, type ResourceKind } from '../../../operator/reconcile/ports.ts';
import type { KubeApi } from '../../cluster/kube-api.ts';

/*
 * What `kubectl get -o json --show-managed-fields` and `kubectl apply --server-side --force-conflicts` do, over kept connections: a test
 * that polls would start several kubectl in a second, and each takes a tenth of a second of a core.
 */
export interface LiveObjects {
  /** `kind` as kubectl takes it: `secret`, `deployments`, `integrations.kanava.dev`. */
  get(kind: string, name: string, namespace?: string): Promise<KubeObject | undefined>;
  list(kind: string, namespace?: string): Promise<KubeObject[]>;
  apply(object: unknown): Promise<void>;
  /** Merges it into the status. */
  patchStatus(object: KubeObject, status: object): Promise<void>;
  /** Of a ServiceAccount, for an hour. */
  tokenOf(name: string, namespace: string): Promise<string>;
  close(): Promise<void>;
}

const admission = (kind: string, plural: string): ResourceKind => ({
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind,
  plural,
  namespaced: false,
});
const rbac = (kind: string, plural: string, namespaced = false): ResourceKind => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind,
  plural,
  namespaced,
});
const known: readonly ResourceKind[] = [
  ...kinds,
  ...Object.values(builtIn).filter((kind) => typeof kind === 'object'),
  admission('ValidatingAdmissionPolicy', 'validatingadmissionpolicies'),
  admission('ValidatingAdmissionPolicyBinding', 'validatingadmissionpolicybindings'),
  rbac('ClusterRole', 'clusterroles'),
  rbac('ClusterRoleBinding', 'clusterrolebindings'),
  rbac('Role', 'roles', true),
];
const named = (name: string): ResourceKind => {
  const found = known.find((kind) =>
    [kind.plural, kind.kind.toLowerCase(), resourceName(kind)].includes(name.toLowerCase()),
  );
  if (!found)
    throw new Error(`${name} is none of the kinds that tests read; add it to test/operator/kube/live-objects.ts`);
  return found;
};
const kindOf = (object: KubeObject): ResourceKind => {
  const found = known.find(({ apiVersion, kind }) => apiVersion === object.apiVersion && kind === object.kind);
  if (!found)
    throw new Error(
      `${object.apiVersion} ${object.kind} is none of the kinds that tests apply; add it to test/operator/kube/live-objects.ts`,
    );
  return found;
};
const isList = (object: object): object is { readonly items: readonly unknown[] } =>
  (object as Partial<KubeObject>).kind === 'List';

export const liveObjects = async (api: KubeApi): Promise<LiveObjects> => {
  const identity = await loadIdentity({ kubeconfig: api.kubeconfig, env: {} });
  const transport = createTransport({ identity, registry: new Registry(), mayWrite: () => true });
  const apply = async (object: unknown): Promise<void> => {
    // As it is sent, without what is undefined.
    const sent = JSON.parse(JSON.stringify(object)) as KubeObject;
    if (isList(sent)) {
      for (const item of sent.items) await apply(item);
      return;
    }
    const { name, namespace = 'default' } = sent.metadata;
    await transport.request({
      method: 'PATCH',
      path: apiPath(kindOf(sent), { name, namespace }),
      query: { fieldManager: 'kubectl', force: 'true', fieldValidation: 'Strict' },
      contentType: 'application/apply-patch+yaml',
      body: sent,
    });
  };
  return {
    get: async (kind, name, namespace = 'default') => {
      try {
        const path = apiPath(named(kind), { name, namespace });
        return (await transport.request({ method: 'GET', path })) as KubeObject;
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return undefined;
        throw error;
      }
    },
    list: async (name, namespace) => {
      const { apiVersion, kind, ...found } = named(name);
      const path = apiPath({ apiVersion, ...found }, { namespace });
      const { items } = (await transport.request({ method: 'GET', path })) as { items: KubeObject[] };
      return items.map((item) => ({ ...item, apiVersion, kind }));
    },
    apply,
    patchStatus: async (object, status) => {
      await transport.request({
        method: 'PATCH',
        path: apiPath(kindOf(object), { ...object.metadata, subresource: 'status' }),
        contentType: 'application/merge-patch+json',
        body: { status },
      });
    },
    tokenOf: async (name, namespace) => {
      const path = apiPath(builtIn.ServiceAccounts, { name, namespace, subresource: 'token' });
      const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
      return ((await transport.request({ method: 'POST', path, body })) as { status: { token: string } }).status.token;
    },
    close: () => transport.close(),
  };
};
