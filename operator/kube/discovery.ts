import type { ResourceKind } from '../reconcile/ports.ts';
import { ApiError } from '../reconcile/ports.ts';
import { groupPath } from './api-path.ts';
import type { Transport } from './transport.ts';

interface ResourceList {
  readonly resources?: readonly { readonly name: string; readonly kind: string; readonly namespaced: boolean }[];
}

/** Finds the path of a kind by asking the server, once a group and version. A kind that is new (a CRD) is asked for again. */
export const createDiscovery = (transport: Transport) => {
  const groups = new Map<string, Promise<Map<string, ResourceKind>>>();
  const read = async (apiVersion: string): Promise<Map<string, ResourceKind>> => {
    const answer = (await transport.request({ method: 'GET', path: groupPath(apiVersion) })) as ResourceList;
    const main = (answer.resources ?? []).filter(({ name }) => !name.includes('/'));
    return new Map(
      main.map(({ name, kind, namespaced }) => [kind, { apiVersion, kind, plural: name, namespaced }] as const),
    );
  };
  const group = (apiVersion: string, isFresh: boolean) => {
    const known = isFresh ? undefined : groups.get(apiVersion);
    if (known) return known;
    const reading = read(apiVersion);
    groups.set(apiVersion, reading);
    // A failure is not remembered.
    reading.catch(() => groups.delete(apiVersion));
    return reading;
  };
  return async ({ apiVersion, kind }: Pick<ResourceKind, 'apiVersion' | 'kind'>): Promise<ResourceKind> => {
    const found = (await group(apiVersion, false)).get(kind) ?? (await group(apiVersion, true)).get(kind);
    if (!found) throw new ApiError(404, 'UnknownKind', `the API server has no ${kind} in ${apiVersion}`);
    return found;
  };
};
