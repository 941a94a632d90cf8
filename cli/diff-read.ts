import { apiPath } from '../operator/kube/api-path.ts';
import { Namespaces } from '../operator/plan/kinds.ts';
import type { KubeObject } from '../operator/reconcile/ports.ts';
import type { KubeClient } from './kube-client.ts';
import { type FileObject, metadataOf } from './objects.ts';
import { NoAccess } from './outcome.ts';
import { readObjects } from './status-read.ts';

/** What is stored in the namespaces that the files are about, as far as the user may see it; oldest first, as the operator counts. */
export const readStored = async (
  client: KubeClient,
  files: readonly FileObject[],
  defaultNamespace: string,
): Promise<KubeObject[]> => {
  const namespaces = new Set(
    files.map(({ object }) =>
      object.kind === 'Tenant'
        ? ((object['spec'] as { namespace?: { name?: string } } | undefined)?.namespace?.name ?? '')
        : (metadataOf(object).namespace ?? defaultNamespace),
    ),
  );
  const found = await Promise.all(
    [...namespaces].filter((name) => name !== '').map((name) => readObjects(client, name)),
  );
  const all = [...found.flat(), ...(await readNamespaces(client))];
  return all.sort((a, b) => (ageOf(a) < ageOf(b) ? -1 : 1));
};
const ageOf = ({ metadata }: KubeObject): string => `${metadata.creationTimestamp ?? '9'} ${metadata.name}`;

/** Selectors of a Tenant's egress may select by their labels. */
const readNamespaces = async (client: KubeClient): Promise<KubeObject[]> => {
  try {
    const { items } = (await client.request({ method: 'GET', path: apiPath(Namespaces, {}) })) as {
      items: KubeObject[];
    };
    return items.map((item) => ({ ...item, apiVersion: Namespaces.apiVersion, kind: Namespaces.kind }));
  } catch (error) {
    if (error instanceof NoAccess) return [];
    throw error;
  }
};
