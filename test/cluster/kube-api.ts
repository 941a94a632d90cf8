import { randomUUID } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureBinaries } from './binaries.ts';
import { httpsGet } from './https-probe.ts';
import { type Kubectl, kubectlFor, mustKubectl } from './kubectl.ts';
import { authority, serviceAccountKeys, writeKubeconfig } from './pki.ts';
import { accepts, freePort } from './ports.ts';
import { type ServerProcess, startServer } from './server-process.ts';
import { temporaryFolder } from './temporary.ts';

export interface KubeApi {
  /** `https://127.0.0.1:<port>`; the certificate holds for 127.0.0.1 and localhost on any port, so for a proxy too. */
  url: string;
  port: number;
  /** PEM text. */
  ca: string;
  /** PEM text of a client certificate in system:masters. */
  adminCert: string;
  adminKey: string;
  /** Path of the administrator's kubeconfig. */
  kubeconfig: string;
  /** kubectl as administrator. */
  kubectl: Kubectl;
  /** Path of a new kubeconfig for a user in these groups (client certificate; no rights but what RBAC gives). */
  userKubeconfig(name: string, groups?: string[]): Promise<string>;
  /** Path of a new kubeconfig with a token (1 h) of a ServiceAccount that exists. */
  serviceAccountKubeconfig(namespace: string, name: string): Promise<string>;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** `stop` ends both servers and removes every file. */
export interface OwnKubeApi extends KubeApi {
  /** For faults: stop, kill and start the server alone. Stop it before etcd (it waits for etcd for ever). */
  apiserver: ServerProcess;
  etcd: ServerProcess;
  etcdUrl: string;
}

const startEtcd = async (command: string, dir: string): Promise<{ etcd: ServerProcess; etcdUrl: string }> => {
  const [port, peerPort] = [await freePort(), await freePort()];
  const [url, peerUrl] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${peerPort}`];
  const etcd = await startServer({
    name: 'etcd',
    command,
    args: [
      `--data-dir=${join(dir, 'etcd')}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=default=${peerUrl}`,
      '--unsafe-no-fsync',
      '--log-level=warn',
    ],
    log: join(dir, 'etcd.log'),
    ready: () => accepts(port),
  });
  return { etcd, etcdUrl: url };
};

/**
 * A real API server without nodes or controllers: objects are stored, validated, authorized and watched, and nothing acts
 * on them (no pods run, no garbage collection, namespaces stay Terminating, no default ServiceAccount). RBAC and the default
 * admission plugins are on. Ready in about two seconds, ends with this process; several may run at once.
 */
export const startKubeApi = async (): Promise<OwnKubeApi> => {
  const binaries = await ensureBinaries(['etcd', 'kube-apiserver', 'kubectl']);
  const dir = await temporaryFolder('kube');
  const { etcd, etcdUrl } = await startEtcd(binaries.etcd, dir);
  const pki = await authority(join(dir, 'pki'));
  const [serving, admin, accountKeys, port] = await Promise.all([
    pki.issue({
      name: 'apiserver',
      commonName: 'kube-apiserver',
      names: ['DNS:localhost', 'DNS:kubernetes.default.svc', 'IP:127.0.0.1'],
    }),
    pki.issue({ name: 'admin', commonName: 'admin', groups: ['system:masters'] }),
    serviceAccountKeys(join(dir, 'pki')),
    freePort(),
  ]);
  const url = `https://127.0.0.1:${port}`;
  const [ca, cert, key] = await Promise.all([readFile(pki.ca), readFile(admin.cert), readFile(admin.key)]);
  const apiserver = await startServer({
    name: 'kube-apiserver',
    command: binaries['kube-apiserver'],
    args: [
      `--etcd-servers=${etcdUrl}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--secure-port=${port}`,
      `--tls-cert-file=${serving.cert}`,
      `--tls-private-key-file=${serving.key}`,
      `--client-ca-file=${pki.ca}`,
      `--cert-dir=${join(dir, 'generated')}`,
      `--service-account-key-file=${accountKeys.publicKey}`,
      `--service-account-signing-key-file=${accountKeys.privateKey}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      '--service-cluster-ip-range=10.96.0.0/16',
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      '--allow-privileged',
    ],
    log: join(dir, 'kube-apiserver.log'),
    // /readyz covers the built-in roles; the default namespace comes a moment later.
    ready: async () => {
      const found = async (path: string) => (await httpsGet(`${url}${path}`, { ca, cert, key })).status === 200;
      return (await found('/readyz')) && (await found('/api/v1/namespaces/default'));
    },
  }).catch(async (error: unknown) => {
    await etcd.stop('SIGKILL');
    throw error;
  });
  const kubeconfig = join(dir, 'admin.kubeconfig');
  await writeKubeconfig(kubeconfig, { url, ca: pki.ca, user: admin });
  const kubectl = kubectlFor(binaries.kubectl, kubeconfig);

  const newKubeconfig = async (user: Parameters<typeof writeKubeconfig>[1]['user']): Promise<string> => {
    const path = join(dir, `${randomUUID()}.kubeconfig`);
    await writeKubeconfig(path, { url, ca: pki.ca, user });
    return path;
  };
  const stop = async () => {
    await Promise.all([apiserver.stop('SIGKILL'), etcd.stop('SIGKILL')]);
    await rm(dir, { recursive: true, force: true });
  };
  return {
    url,
    port,
    ca: ca.toString(),
    adminCert: cert.toString(),
    adminKey: key.toString(),
    kubeconfig,
    kubectl,
    userKubeconfig: async (name, groups = []) =>
      newKubeconfig(await pki.issue({ name: randomUUID(), commonName: name, groups })),
    serviceAccountKubeconfig: async (namespace, name) =>
      newKubeconfig({ token: (await mustKubectl(kubectl, ['create', 'token', name, '-n', namespace])).trim() }),
    apiserver,
    etcd,
    etcdUrl,
    stop,
    [Symbol.asyncDispose]: stop,
  };
};
