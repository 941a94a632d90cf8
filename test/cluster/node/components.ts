import { binaryPath } from '../binaries.ts';
import { run } from '../command.ts';
import { accepts } from '../ports.ts';
import type { ServerName } from '../servers.ts';
import { readyApi } from './api.ts';
import { type NodeLayout, pathsOf } from './layout.ts';

export interface Component {
  name: ServerName;
  command: string[];
  /** Whether it does its work now, asked from outside. */
  healthy: () => Promise<boolean>;
  /** A wave is started when all of the one before are healthy: what depends on them is sick as long as they are. */
  wave: 1 | 2 | 3;
}

const answers = async (url: string): Promise<boolean> =>
  (await fetch(url, { signal: AbortSignal.timeout(2000) }).catch(() => undefined))?.ok ?? false;

const etcdUrl = 'http://127.0.0.1:2379';

/** The parts of a node, in the order of their start. The command line of a part is all that it depends on. */
export const componentsOf = (layout: NodeLayout): Component[] => {
  const { name: node, nodeAddress, podRange, serviceRange } = layout;
  const paths = pathsOf(layout);
  const pki = (file: string) => `${paths.pki}/${file}`;
  const kubeconfig = (user: string) => `--kubeconfig=${paths.config}/${user}.kubeconfig`;
  const command = (name: ServerName, ...args: string[]) => [binaryPath(name), ...args];
  return [
    {
      name: 'etcd',
      wave: 1,
      command: command(
        'etcd',
        `--data-dir=${paths.etcd}`,
        `--listen-client-urls=${etcdUrl}`,
        `--advertise-client-urls=${etcdUrl}`,
        '--listen-peer-urls=http://127.0.0.1:2380',
        `--listen-metrics-urls=http://${nodeAddress}:2381`,
        '--unsafe-no-fsync',
        '--log-level=warn',
      ),
      healthy: () => answers(`http://${nodeAddress}:2381/health`),
    },
    {
      name: 'containerd',
      wave: 1,
      command: command('containerd', '--config', `${paths.config}/containerd.toml`),
      healthy: async () =>
        (await run(binaryPath('ctr'), ['--address', paths.containerdSocket, 'version'], { timeout: 2000 })).code === 0,
    },
    {
      name: 'kube-apiserver',
      wave: 2,
      command: command(
        'kube-apiserver',
        `--etcd-servers=${etcdUrl}`,
        `--advertise-address=${nodeAddress}`,
        `--service-cluster-ip-range=${serviceRange}`,
        `--cert-dir=${paths.config}/generated`,
        `--tls-cert-file=${pki('kube-apiserver.crt')}`,
        `--tls-private-key-file=${pki('kube-apiserver.key')}`,
        `--client-ca-file=${pki('ca.crt')}`,
        `--service-account-key-file=${pki('service-account.pub')}`,
        `--service-account-signing-key-file=${pki('service-account.key')}`,
        '--service-account-issuer=https://kubernetes.default.svc',
        '--authorization-mode=Node,RBAC',
        '--enable-admission-plugins=NodeRestriction',
        '--allow-privileged',
        `--kubelet-client-certificate=${pki('admin.crt')}`,
        `--kubelet-client-key=${pki('admin.key')}`,
        `--kubelet-certificate-authority=${pki('ca.crt')}`,
        // By default it looks for the host name, and `kubectl logs` and `exec` hang.
        '--kubelet-preferred-address-types=InternalIP',
      ),
      healthy: () => readyApi(layout),
    },
    {
      name: 'kube-controller-manager',
      wave: 3,
      command: command(
        'kube-controller-manager',
        kubeconfig('kube-controller-manager'),
        `--root-ca-file=${pki('ca.crt')}`,
        `--service-account-private-key-file=${pki('service-account.key')}`,
        `--cluster-signing-cert-file=${pki('ca.crt')}`,
        `--cluster-signing-key-file=${pki('ca.key')}`,
        '--use-service-account-credentials',
        '--leader-elect=false',
        // With the defaults the first pods wait 3 s for their turn.
        '--kube-api-qps=500',
        '--kube-api-burst=1000',
      ),
      healthy: () => accepts(10_257, { host: nodeAddress }),
    },
    {
      name: 'kube-scheduler',
      wave: 3,
      command: command('kube-scheduler', kubeconfig('kube-scheduler'), '--leader-elect=false'),
      healthy: () => accepts(10_259, { host: nodeAddress }),
    },
    {
      name: 'kubelet',
      wave: 3,
      command: command(
        'kubelet',
        `--config=${paths.config}/kubelet.json`,
        kubeconfig('kubelet'),
        `--hostname-override=${node}`,
        `--node-ip=${nodeAddress}`,
        `--root-dir=${paths.kubelet}`,
      ),
      healthy: () => answers(`http://${nodeAddress}:10248/healthz`),
    },
    {
      name: 'kube-proxy',
      wave: 3,
      command: command(
        'kube-proxy',
        kubeconfig('kube-proxy'),
        `--hostname-override=${node}`,
        `--cluster-cidr=${podRange}`,
        '--proxy-mode=iptables',
        // The table belongs to the machine, not to the namespace.
        '--conntrack-max-per-core=0',
      ),
      healthy: () => answers(`http://${nodeAddress}:10256/livez`),
    },
  ];
};

/** Binaries that a node runs besides its components. */
export const companions: ServerName[] = ['kubectl', 'ctr', 'containerd-shim-runc-v2', 'runc'];
