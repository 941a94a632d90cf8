import { apiPath } from '../operator/kube/api-path.ts';
import { ApiError } from '../operator/reconcile/ports.ts';
import type { Kind, ObjectStore } from './bootstrap.ts';
import { connectKubeClient, type KubeOptions } from './kube-client.ts';

const plurals = { Secret: 'secrets', ConfigMap: 'configmaps' } as const;
const labels = {
  'app.kubernetes.io/name': 'kanava',
  'app.kubernetes.io/part-of': 'kanava',
  'app.kubernetes.io/managed-by': 'kanava-bootstrap',
};

/** Secrets and ConfigMaps of one namespace, to read and to create. As the pod that this is, or by a kubeconfig. */
export const connectObjects = async (
  options: KubeOptions & { readonly namespace: string },
): Promise<ObjectStore & { close(): Promise<void> }> => {
  const { namespace } = options;
  const client = await connectKubeClient(options);
  const path = (kind: Kind, name?: string) =>
    apiPath(
      { apiVersion: 'v1', plural: plurals[kind], namespaced: true },
      name === undefined ? { namespace } : { namespace, name },
    );
  return {
    read: async (kind, name) => {
      try {
        const { data = {} } = (await client.request({ method: 'GET', path: path(kind, name) })) as {
          data?: Record<string, string>;
        };
        return kind === 'Secret' ? mapValues(data, (value) => Buffer.from(value, 'base64').toString()) : data;
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return undefined;
        throw error;
      }
    },
    create: async (kind, name, data) => {
      const content =
        kind === 'Secret'
          ? { type: 'Opaque', data: mapValues(data, (value) => Buffer.from(value).toString('base64')) }
          : { data };
      const body = { apiVersion: 'v1', kind, metadata: { name, namespace, labels }, ...content };
      try {
        // A second POST is refused as AlreadyExists, and what is stored then is read: sending it again is safe.
        await client.request({ method: 'POST', path: path(kind), body, idempotent: true });
        return 'created';
      } catch (error) {
        if (error instanceof ApiError && error.status === 409) return 'exists';
        throw error;
      }
    },
    close: () => client.close(),
  };
};

const mapValues = (data: Readonly<Record<string, string>>, change: (value: string) => string): Record<string, string> =>
  Object.fromEntries(Object.entries(data).map(([key, value]) => [key, change(value)]));
