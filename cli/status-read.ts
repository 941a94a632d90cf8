import { Connections, Integrations, type Kind, Tenants } from '../operator/api/meta.ts';
import { apiPath } from '../operator/kube/api-path.ts';
import { integrationLabel } from '../operator/plan/children.ts';
import { ApiError, type KubeObject } from '../operator/reconcile/ports.ts';
import type { KubeClient } from './kube-client.ts';
import { Finding, NoAccess } from './outcome.ts';

/** What `status` looks at, as far as the user may see it. */
export const readObjects = async (client: KubeClient, namespace: string | undefined): Promise<KubeObject[]> => {
  const [tenants, connections, integrations] = await Promise.all([
    readTenants(client, namespace),
    list(client, Connections, namespace),
    list(client, Integrations, namespace),
  ]);
  return [...tenants, ...connections, ...integrations];
};

export const readIntegration = async (client: KubeClient, namespace: string, name: string): Promise<KubeObject> => {
  try {
    return (await client.request({ method: 'GET', path: apiPath(Integrations, { namespace, name }) })) as KubeObject;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404)
      throw new Finding(`there is no Integration ${name} in namespace ${namespace}`, { cause: error });
    throw error;
  }
};

/** Pods of an Integration's workers; none where the user may not see pods. */
export const readPods = async (client: KubeClient, namespace: string, name: string): Promise<readonly KubeObject[]> => {
  const path = apiPath({ apiVersion: 'v1', plural: 'pods', namespaced: true }, { namespace });
  try {
    const found = await client.request({
      method: 'GET',
      path,
      query: { labelSelector: `${integrationLabel}=${name}` },
    });
    return (found as { items: KubeObject[] }).items;
  } catch (error) {
    if (error instanceof NoAccess) return [];
    throw error;
  }
};

const list = async (client: KubeClient, kind: Kind, namespace?: string): Promise<KubeObject[]> => {
  try {
    const path = apiPath(kind, namespace === undefined ? {} : { namespace });
    const { items } = (await client.request({ method: 'GET', path })) as { items: KubeObject[] };
    return items.map((item) => ({ ...item, apiVersion: kind.apiVersion, kind: kind.kind }));
  } catch (error) {
    if (error instanceof ApiError && error.status === 404)
      throw new Finding('this cluster has no kanava.dev API: install the chart kanava', { cause: error });
    throw error;
  }
};

/** Tenants are the platform team's: members of one see what is in their namespace only. */
const readTenants = async (client: KubeClient, namespace: string | undefined): Promise<KubeObject[]> => {
  try {
    const tenants = await list(client, Tenants);
    const namespaceOf = ({ spec }: KubeObject) =>
      (spec as { namespace?: { name?: string } } | undefined)?.namespace?.name;
    return namespace === undefined ? tenants : tenants.filter((tenant) => namespaceOf(tenant) === namespace);
  } catch (error) {
    if (error instanceof NoAccess) return [];
    throw error;
  }
};
