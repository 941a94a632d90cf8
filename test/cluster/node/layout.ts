import { join } from 'node:path';
import { clusterState } from '../settings.ts';

/**
 * Everything that tells one node from another on the same machine. Two nodes whose layouts have nothing in common run side
 * by side and are removed without touching each other.
 */
export interface NodeLayout {
  /** Name of the node, of its network namespace and of its cgroup, and prefix of its link. At most 12 characters. */
  name: string;
  /** Folder of everything that is kept; part of every command line, which is how its processes are found. */
  state: string;
  hostAddress: string;
  nodeAddress: string;
  podRange: string;
  serviceRange: string;
  /** First address of the service range. */
  apiServiceAddress: string;
  dnsAddress: string;
}

export const mainLayout: NodeLayout = {
  name: 'kanava',
  state: clusterState,
  hostAddress: '172.30.99.1',
  nodeAddress: '172.30.99.2',
  podRange: '10.244.0.0/16',
  serviceRange: '10.96.0.0/16',
  apiServiceAddress: '10.96.0.1',
  dnsAddress: '10.96.0.10',
};

/** A second node beside the main one, for tests of the node itself. */
export const secondLayout = (state: string): NodeLayout => ({
  name: 'kanava-2nd',
  state,
  hostAddress: '172.30.98.1',
  nodeAddress: '172.30.98.2',
  podRange: '10.245.0.0/16',
  serviceRange: '10.97.0.0/16',
  apiServiceAddress: '10.97.0.1',
  dnsAddress: '10.97.0.10',
});

export const apiUrl = ({ nodeAddress }: NodeLayout): string => `https://${nodeAddress}:6443`;

/** Files and folders below the state folder, by what they are for. */
export const pathsOf = ({ state, name }: NodeLayout) => ({
  // Kept by `down`: keys and images cost time and hold nothing of the cluster's life.
  pki: join(state, 'pki'),
  images: join(state, 'containerd', 'root'),
  kubeconfig: join(state, 'kubeconfig'),
  logs: join(state, 'logs'),
  config: join(state, 'config'),
  /** Links to binaries that containerd looks for by their plain names. */
  bin: join(state, 'bin'),
  // Wiped by `down`: stale status is worse than none.
  etcd: join(state, 'etcd'),
  kubelet: join(state, 'kubelet'),
  containers: join(state, 'containerd', 'state'),
  addresses: join(state, 'addresses'),
  podLogs: join(state, 'pod-logs'),
  volumes: join(state, 'volumes'),
  run: join(state, 'run'),
  // Outside: owned by the kernel.
  netns: `/run/netns/${name}`,
  containerdSocket: join(state, 'run', 'containerd.sock'),
  cniConfig: join(state, 'config', 'cni'),
});
