import { hasCondition } from './api.ts';
import { type Component, componentsOf } from './components.ts';
import { type NodeLayout, pathsOf } from './layout.ts';
import { isRunning, type NodeProcess, nodeProcesses } from './processes.ts';

export interface NodeStatus {
  /** Everything below is as it should be. */
  up: boolean;
  kubeconfig: string;
  components: { name: string; running: boolean; healthy: boolean }[];
  nodeReady: boolean;
  dnsReady: boolean;
}

const componentStatus = async ({ name, command, healthy }: Component, processes: NodeProcess[]) => {
  const running = isRunning(processes, command);
  return { name, running, healthy: running && (await healthy()) };
};

export const nodeReady = (layout: NodeLayout): Promise<boolean> =>
  hasCondition(layout, `/api/v1/nodes/${layout.name}`, 'Ready');

export const dnsReady = (layout: NodeLayout): Promise<boolean> =>
  hasCondition(layout, '/apis/apps/v1/namespaces/kube-system/deployments/coredns', 'Available');

/** What a node is like now; takes some 100 ms. */
export const nodeStatus = async (layout: NodeLayout): Promise<NodeStatus> => {
  const processes = await nodeProcesses(layout);
  const [components, node, dns] = await Promise.all([
    Promise.all(componentsOf(layout).map((component) => componentStatus(component, processes))),
    nodeReady(layout),
    dnsReady(layout),
  ]);
  const up = components.every(({ healthy }) => healthy) && node && dns;
  return { up, kubeconfig: pathsOf(layout).kubeconfig, components, nodeReady: node, dnsReady: dns };
};
