import { remembered } from '../api/remembered.ts';
import type { ResourceKind } from '../reconcile/ports.ts';

/** `.` and `..` would be taken out of a URL by whoever normalizes it, and lead elsewhere. */
const segment = (value: string): string => {
  if (value === '' || value === '.' || value === '..' || value.includes('/'))
    throw new Error(`${JSON.stringify(value)} cannot be a name of a Kubernetes object`);
  return encodeURIComponent(value);
};

/** `/apis/apps/v1`, `/api/v1`. */
export const groupPath = (apiVersion: string): string => `${apiVersion.includes('/') ? '/apis' : '/api'}/${apiVersion}`;

/** Path of a collection, or of an object in it, or of its subresource. */
export const apiPath = (
  kind: Pick<ResourceKind, 'apiVersion' | 'plural' | 'namespaced'>,
  where: { readonly namespace?: string | undefined; readonly name?: string; readonly subresource?: string | undefined },
): string => {
  const { namespace, name, subresource } = where;
  if (kind.namespaced && name !== undefined && namespace === undefined)
    throw new Error(`an object of ${kind.plural} named ${name} needs a namespace`);
  return [
    groupPath(kind.apiVersion),
    ...(kind.namespaced && namespace !== undefined ? ['namespaces', segment(namespace)] : []),
    kind.plural,
    ...(name === undefined ? [] : [segment(name)]),
    ...(subresource === undefined ? [] : [subresource]),
  ].join('/');
};

/** Label of metrics and logs, as kubectl names a resource: `integrations.kanava.dev`, `secrets`. Asked for with each read of a cache. */
export const resourceName: (kind: Pick<ResourceKind, 'apiVersion' | 'plural'>) => string = remembered(
  ({ apiVersion, plural }) => (apiVersion.includes('/') ? `${plural}.${apiVersion.split('/', 1)[0]}` : plural),
);
