import { apiPath } from '../operator/kube/api-path.ts';
import { natsConfigName, replayCredentialsName } from '../operator/plan/children.ts';
import { ConfigMaps, Secrets } from '../operator/plan/kinds.ts';
import { ApiError, type ResourceKind } from '../operator/reconcile/ports.ts';
import { connectKubeClient, type KubeClient, type KubeOptions } from './kube-client.ts';
import { Finding } from './outcome.ts';

/** How an Integration's dead letters are reached, as the operator wrote it down in its namespace. */
export interface ClusterAccess {
  readonly namespace: string;
  readonly url: string;
  readonly creds: string;
  /** PEM; none: NATS is not encrypted, or its certificate is of a public CA. */
  readonly ca: string | undefined;
}

/** Whoever may read the Secret may look at the dead letters: there is no other right than Kubernetes'. */
export const readClusterAccess = async (
  integration: string,
  { namespace, ...options }: KubeOptions & { readonly namespace?: string | undefined },
): Promise<ClusterAccess> => {
  const client = await connectKubeClient(options);
  try {
    const where = namespace ?? client.namespace;
    const [secret, config] = await Promise.all([
      read(client, Secrets, where, replayCredentialsName(integration), integration),
      read(client, ConfigMaps, where, natsConfigName, integration),
    ]);
    return {
      namespace: where,
      url: config['url'] ?? '',
      creds: Buffer.from(secret['creds'] ?? '', 'base64').toString(),
      ca: config['ca.crt'],
    };
  } finally {
    await client.close();
  }
};

const read = async (
  client: KubeClient,
  kind: ResourceKind,
  namespace: string,
  name: string,
  integration: string,
): Promise<Readonly<Record<string, string>>> => {
  try {
    const found = await client.request({ method: 'GET', path: apiPath(kind, { namespace, name }) });
    return (found as { data?: Record<string, string> }).data ?? {};
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    throw new Finding(
      `${kind.kind} ${name} is not in namespace ${namespace}: there is no Integration ${integration}, or it was never accepted`,
      { cause: error },
    );
  }
};
