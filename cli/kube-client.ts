import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { Registry } from 'prom-client';
import { type Identity, loadIdentity } from '../operator/kube/identity.ts';
import { createTransport, type Transport } from '../operator/kube/transport.ts';
import { ApiError } from '../operator/reconcile/ports.ts';
import { NoAccess } from './outcome.ts';
import { readYaml } from './yaml.ts';

/** The API server as the user may see it: refusals to let us in are `NoAccess`. */
export interface KubeClient extends Pick<Transport, 'request' | 'close'> {
  /** Of the kubeconfig's current context. */
  readonly namespace: string;
}
export interface KubeOptions {
  readonly kubeconfig?: string;
  readonly env: NodeJS.ProcessEnv;
}

/** By the kubeconfig that is named, by $KUBECONFIG or the user's own, else as the pod that this is. */
export const connectKubeClient = async ({ kubeconfig, env }: KubeOptions): Promise<KubeClient> => {
  const file = kubeconfig ?? env['KUBECONFIG']?.split(delimiter).find((path) => existsSync(path)) ?? usersOwn();
  const identity = await identityOf(file, env);
  const transport = createTransport({
    identity,
    registry: new Registry(),
    mayWrite: () => true,
    userAgent: 'kanava-cli',
  });
  return {
    namespace: file === undefined ? 'default' : namespaceIn(file),
    request: (request) => transport.request(request).catch(explained),
    close: () => transport.close(),
  };
};

const usersOwn = (): string | undefined => {
  const file = join(homedir(), '.kube', 'config');
  return existsSync(file) ? file : undefined;
};

const identityOf = async (kubeconfig: string | undefined, env: NodeJS.ProcessEnv): Promise<Identity> => {
  try {
    return await loadIdentity({ env, ...(kubeconfig === undefined ? {} : { kubeconfig }) });
  } catch (cause) {
    throw new NoAccess(`no cluster to talk to: ${(cause as Error).message}`, { cause });
  }
};

interface Kubeconfig {
  readonly 'current-context'?: string;
  readonly contexts?: readonly { readonly name?: string; readonly context?: { readonly namespace?: string } }[];
}
const namespaceIn = (file: string): string => {
  const config = (readYaml(readFileSync(file, 'utf8')).documents[0]?.value ?? {}) as Kubeconfig;
  const current = config.contexts?.find(({ name }) => name === config['current-context']);
  return current?.context?.namespace ?? 'default';
};

const explained = (error: unknown): never => {
  if (error instanceof ApiError && (error.status === 0 || error.status === 401 || error.status === 403))
    throw new NoAccess(error.message, { cause: error });
  throw error;
};
