import { readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';

/** Who we are to which API server. */
export interface Identity {
  /** `https://host:port`, perhaps with a path. */
  readonly server: string;
  readonly tls: {
    readonly ca?: string | Buffer;
    readonly cert?: string | Buffer;
    readonly key?: string | Buffer;
    readonly servername?: string;
    readonly rejectUnauthorized?: boolean;
  };
  /** Value of the Authorization header. `refused`: the server did not take the last one. */
  authorization(refused?: boolean): Promise<string | undefined>;
}

const serviceAccount = '/var/run/secrets/kubernetes.io/serviceaccount';
/** The kubelet renews a token long before its end, and client-go reads it again as often. */
const tokenMaxAgeMs = 60_000;

/** Keeps an answer for a minute; a failure to get a new one is an error only if there is no old one. */
const remembered = (read: () => Promise<string | undefined>): Identity['authorization'] => {
  let known: { readonly value: string | undefined; readonly at: number } | undefined;
  return async (refused = false) => {
    if (!refused && known && performance.now() - known.at < tokenMaxAgeMs) return known.value;
    try {
      known = { value: await read(), at: performance.now() };
    } catch (error) {
      if (!known) throw error;
    }
    return known.value;
  };
};

// Without client-node: loading it costs 0.4 s and 70 MiB, and here it would read two files.
const inCluster = async (env: NodeJS.ProcessEnv, folder: string): Promise<Identity> => {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'];
  if (!host || !port)
    throw new Error('no kubeconfig was given, and KUBERNETES_SERVICE_HOST is not set, so this is not a pod either');
  const token = async () => `Bearer ${(await readFile(`${folder}/token`, 'utf8')).trim()}`;
  return {
    server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
    tls: { ca: await readFile(`${folder}/ca.crt`) },
    authorization: remembered(token),
  };
};

const fromFile = async (file: string): Promise<Identity> => {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  try {
    config.loadFromFile(file);
  } catch (error) {
    throw new Error(`${file} is not a kubeconfig that can be used: ${String(error)}`, { cause: error });
  }
  const cluster = config.getCurrentCluster();
  if (!cluster) throw new Error(`${file} has no current context with a cluster; set one: kubectl config use-context`);
  if (cluster.proxyUrl) throw new Error(`${file} asks for a proxy (${cluster.proxyUrl}), which is not supported`);
  const user = config.getCurrentUser();
  const options: Parameters<typeof config.applyToHTTPSOptions>[0] = {};
  await config.applyToHTTPSOptions(options);
  const { ca, cert, key } = options as Identity['tls'];
  const authorization = async () => {
    if (user?.username) return `Basic ${Buffer.from(`${user.username}:${user.password ?? ''}`).toString('base64')}`;
    const fresh: Parameters<typeof config.applyToHTTPSOptions>[0] = {};
    await config.applyToHTTPSOptions(fresh);
    const value: unknown = (fresh.headers as Record<string, unknown> | undefined)?.['Authorization'];
    return typeof value === 'string' ? value : undefined;
  };
  return {
    server: cluster.server,
    tls: {
      ...(ca && { ca }),
      ...(cert && { cert }),
      ...(key && { key }),
      ...(cluster.tlsServerName && { servername: cluster.tlsServerName }),
      ...(cluster.skipTLSVerify && { rejectUnauthorized: false }),
    },
    authorization: remembered(authorization),
  };
};

/** From a kubeconfig file (its current context), else as the pod that this is. `env` is the process's own. */
export const loadIdentity = (options: {
  readonly kubeconfig?: string;
  readonly env: NodeJS.ProcessEnv;
  readonly folder?: string;
}): Promise<Identity> =>
  options.kubeconfig ? fromFile(options.kubeconfig) : inCluster(options.env, options.folder ?? serviceAccount);
