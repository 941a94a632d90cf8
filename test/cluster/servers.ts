import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Server {
  /** Folder below tools/ whose go.mod pins the version. */
  group: 'nats' | 'etcd' | 'kubernetes' | 'containerd' | 'runc' | 'coredns' | 'helm' | 'lua';
  /** The module that is pinned, and the command in it. */
  module: string;
  package: string;
  /** Seconds of the first build on two cores, when those above it in the table are built; only shown. */
  seconds: number;
  cgo?: { tags: string[]; debian: string[] };
}

const kubernetes = (name: string, seconds: number): Server => ({
  group: 'kubernetes',
  module: 'k8s.io/kubernetes',
  package: `k8s.io/kubernetes/cmd/${name}`,
  seconds,
});

const containerd = (name: string, seconds: number): Server => ({
  group: 'containerd',
  module: 'github.com/containerd/containerd/v2',
  package: `github.com/containerd/containerd/v2/cmd/${name}`,
  seconds,
});

const server = (group: Server['group'], module: string, command = ''): Server => ({
  group,
  module,
  package: module + command,
  seconds: 90,
});

const table = {
  'nats-server': { ...server('nats', 'github.com/nats-io/nats-server/v2'), seconds: 30 },
  etcd: { ...server('etcd', 'go.etcd.io/etcd/server/v3'), seconds: 45 },
  'kube-apiserver': kubernetes('kube-apiserver', 150),
  kubectl: kubernetes('kubectl', 30),
  'kube-controller-manager': kubernetes('kube-controller-manager', 40),
  'kube-scheduler': kubernetes('kube-scheduler', 15),
  kubelet: kubernetes('kubelet', 40),
  'kube-proxy': kubernetes('kube-proxy', 15),
  containerd: containerd('containerd', 45),
  'containerd-shim-runc-v2': containerd('containerd-shim-runc-v2', 5),
  ctr: containerd('ctr', 5),
  runc: {
    ...server('runc', 'github.com/opencontainers/runc'),
    seconds: 15,
    cgo: { tags: ['seccomp'], debian: ['gcc', 'libc6-dev', 'libseccomp-dev', 'pkg-config'] },
  },
  coredns: server('coredns', 'github.com/coredns/coredns'),
  helm: server('helm', 'helm.sh/helm/v4', '/cmd/helm'),
  // The Lua that Argo CD has.
  glua: { ...server('lua', 'github.com/yuin/gopher-lua', '/cmd/glua'), seconds: 10 },
} satisfies Record<string, Server>;

export type ServerName = keyof typeof table;

/** Every server and tool that tests and the demo run for real. Versions are those of tools/<group>/go.mod. */
export const servers: Readonly<Record<ServerName, Server>> = table;

export const serverNames = Object.keys(servers) as ServerName[];

export const isServerName = (name: string): name is ServerName => Object.hasOwn(servers, name);

export const toolsFolder = (name: ServerName): string => join(import.meta.dirname, 'tools', servers[name].group);

/** `v2.15.2`: what the group's go.mod requires. */
export const versionOf = (name: ServerName): string => {
  const { module } = servers[name];
  const file = join(toolsFolder(name), 'go.mod');
  const found = readFileSync(file, 'utf8')
    .split('\n')
    .map((line) =>
      line
        .trim()
        .replace(/^require /, '')
        .split(' '),
    )
    .find(([path, version]) => path === module && version?.startsWith('v'));
  if (!found?.[1]) throw new Error(`${file} does not require ${module}: add it with \`go get -tool\` in that folder`);
  return found[1];
};
