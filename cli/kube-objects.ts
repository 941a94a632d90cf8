import { Registry } from 'prom-client';
import { apiPath } from '../operator/kube/api-path.ts';
import { type Identity, loadIdentity } from '../operator/kube/identity.ts';
import { createTransport, type Transport } from '../operator/kube/transport.ts';
import { ApiError } from '../operator/reconcile/ports.ts';
import type { Kind, ObjectStore } from './bootstrap.ts';
import { NoAccess } from './outcome.ts';

const plurals = { Secret: 'secrets', ConfigMap: 'configmaps' } as const;
const labels = {
  'app.kubernetes.io/name': 'kanava',
  'app.kubernetes.io/part-of': 'kanava',
  'app.kubernetes.io/managed-by': 'kanava-bootstrap',
};

/** Secrets and ConfigMaps of one namespace, to read and to create. As the pod that this is, or by a kubeconfig. */
export const connectObjects = async (options: {
  readonly namespace: string;
  readonly kubeconfig?: string;
  readonly env: NodeJS.ProcessEnv;
}): Promise<ObjectStore & { close(): Promise<void> }> => {
  const { namespace } = options;
  const identity = await identityOf(options);
  const transport = createTransport({
    identity,
    registry: new Registry(),
    mayWrite: () => true,
    userAgent: 'kanava-cli',
  });
  const ask = (request: Parameters<Transport['request']>[0]) => transport.request(request).catch(explained);
  const path = (kind: Kind, name?: string) =>
    apiPath(
      { apiVersion: 'v1', plural: plurals[kind], namespaced: true },
      name === undefined ? { namespace } : { namespace, name },
    );
  return {
    read: async (kind, name) => {
      try {
        const { data = {} } = (await ask({ method: 'GET', path: path(kind, name) })) as {
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
        await ask({ method: 'POST', path: path(kind), body, idempotent: true });
        return 'created';
      } catch (error) {
        if (error instanceof ApiError && error.status === 409) return 'exists';
        throw error;
      }
    },
    close: () => transport.close(),
  };
};

const identityOf = async (options: { kubeconfig?: string; env: NodeJS.ProcessEnv }): Promise<Identity> => {
  try {
    return await loadIdentity(options);
  } catch (cause) {
    throw new NoAccess(`no cluster to talk to: ${(cause as Error).message}`, { cause });
  }
};

const explained = (error: unknown): never => {
  if (error instanceof ApiError && (error.status === 0 || error.status === 401 || error.status === 403))
    throw new NoAccess(error.message, { cause: error });
  throw error;
};

const mapValues = (data: Readonly<Record<string, string>>, change: (value: string) => string): Record<string, string> =>
  Object.fromEntries(Object.entries(data).map(([key, value]) => [key, change(value)]));
