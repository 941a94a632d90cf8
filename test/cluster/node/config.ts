import { mkdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { binaryPath } from '../binaries.ts';
import { authority, serviceAccountKeys, writeKubeconfig } from '../pki.ts';
import type { ServerName } from '../servers.ts';
import { apiUrl, type NodeLayout, pathsOf } from './layout.ts';

/** Name of the image that holds a pod's namespaces; the one that images/pause makes. */
export const pauseImage = 'docker.io/kanava/pause:1';

const containerdConfig = (layout: NodeLayout): string => {
  const paths = pathsOf(layout);
  const cri = 'plugins."io.containerd.cri.v1.runtime"';
  return `version = 3
root = "${paths.images}"
state = "${paths.containers}"
[grpc]
  address = "${paths.containerdSocket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${paths.images}/opt"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "${pauseImage}"
[${cri}]
  # Without it runc may not lower its score and fails with "can't get final child's PID from pipe".
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
[${cri}.cni]
  bin_dirs = ["/usr/lib/cni"]
  conf_dir = "${paths.cniConfig}"
[${cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[${cri}.containerd.runtimes.runc.options]
  BinaryName = "${paths.bin}/runc"
  Root = "${paths.run}/runc"
`;
};

/** ptp, not bridge: a bridge keeps traffic between pods below iptables, and network policies then do nothing. */
const podNetwork = (layout: NodeLayout): unknown => ({
  cniVersion: '1.0.0',
  name: podNetworkName(layout),
  plugins: [
    {
      type: 'ptp',
      ipMasq: false,
      ipam: {
        type: 'host-local',
        dataDir: pathsOf(layout).addresses,
        ranges: [[{ subnet: layout.podRange }]],
        routes: [{ dst: '0.0.0.0/0' }],
      },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
});

export const podNetworkName = ({ name }: NodeLayout): string => `${name}-pods`;

const kubeletConfig = (layout: NodeLayout): unknown => {
  const paths = pathsOf(layout);
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: `${paths.pki}/ca.crt` },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: `${paths.pki}/kubelet.crt`,
    tlsPrivateKeyFile: `${paths.pki}/kubelet.key`,
    healthzBindAddress: layout.nodeAddress,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${layout.name}`,
    // Machines with cgroup v1 are refused otherwise, machines with swap too.
    failCgroupV1: false,
    failSwapOn: false,
    clusterDNS: [layout.dnsAddress],
    clusterDomain: 'cluster.local',
    containerRuntimeEndpoint: `unix://${paths.containerdSocket}`,
    podLogsDir: paths.podLogs,
    resolvConf: '/dev/null',
    enforceNodeAllocatable: [],
    // A test machine with a full disk must not evict what is being tested, and local images cannot be pulled again.
    evictionHard: {},
    imageGCHighThresholdPercent: 100,
    localStorageCapacityIsolation: false,
  };
};

const writeCertificates = async (layout: NodeLayout): Promise<void> => {
  const { name, nodeAddress, apiServiceAddress } = layout;
  const paths = pathsOf(layout);
  const url = apiUrl(layout);
  const pki = await authority(paths.pki);
  await serviceAccountKeys(paths.pki);
  const names = ['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'].map((dns) => `DNS:${dns}`);
  await pki.issue({
    name: 'kube-apiserver',
    commonName: 'kube-apiserver',
    names: [...names, 'IP:127.0.0.1', `IP:${nodeAddress}`, `IP:${apiServiceAddress}`],
  });
  const admin = await pki.issue({ name: 'admin', commonName: 'admin', groups: ['system:masters'] });
  await writeKubeconfig(paths.kubeconfig, { url, ca: pki.ca, user: admin });
  const users = [
    { name: 'kube-controller-manager', commonName: 'system:kube-controller-manager' },
    { name: 'kube-scheduler', commonName: 'system:kube-scheduler' },
    { name: 'kube-proxy', commonName: 'system:kube-proxy' },
    {
      name: 'kubelet',
      commonName: `system:node:${name}`,
      groups: ['system:nodes'],
      names: [`DNS:${name}`, `IP:${nodeAddress}`],
    },
  ];
  await Promise.all(
    users.map(async (request) => {
      const user = await pki.issue(request);
      await writeKubeconfig(join(paths.config, `${request.name}.kubeconfig`), { url, ca: pki.ca, user });
    }),
  );
};

/** A rewrite without a change would be one to those who watch the file, and half a file an error. */
const writeChanged = async (path: string, text: string): Promise<void> => {
  if ((await readFile(path, 'utf8').catch(() => '')) === text) return;
  await writeFile(`${path}.unfinished`, text);
  await rename(`${path}.unfinished`, path);
};

const linkBinary = async (bin: string, name: ServerName): Promise<void> => {
  const path = join(bin, name);
  if ((await readlink(path).catch(() => '')) === binaryPath(name)) return;
  await rm(path, { force: true });
  await symlink(binaryPath(name), path);
};

/** Writes every file that the components read; keys that exist are kept. */
export const writeConfig = async (layout: NodeLayout): Promise<void> => {
  const paths = pathsOf(layout);
  for (const folder of [paths.config, paths.cniConfig, paths.logs, paths.run, paths.volumes, paths.bin])
    await mkdir(folder, { recursive: true });
  await linkBinary(paths.bin, 'runc');
  await linkBinary(paths.bin, 'containerd-shim-runc-v2');
  await writeCertificates(layout);
  await writeChanged(join(paths.config, 'containerd.toml'), containerdConfig(layout));
  await writeChanged(join(paths.config, 'kubelet.json'), JSON.stringify(kubeletConfig(layout), undefined, 2));
  await writeChanged(join(paths.cniConfig, '10-pods.conflist'), JSON.stringify(podNetwork(layout), undefined, 2));
};
