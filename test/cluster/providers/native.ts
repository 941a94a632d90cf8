import { join } from 'node:path';
import { getuid, platform } from 'node:process';
import { loadImages } from '../images/load.ts';
import { withLock } from '../lock.ts';
import { removeNode } from '../node/down.ts';
import { nodeImageStore } from '../node/image-store.ts';
import { type NodeLayout, pathsOf } from '../node/layout.ts';
import { nodeStatus } from '../node/status.ts';
import { ensureNode } from '../node/up.ts';
import type { Provider } from './provider.ts';

const partStatus = ({ running, healthy }: { running: boolean; healthy: boolean }): string => {
  if (healthy) return 'healthy';
  return running ? 'running, not healthy' : 'not running';
};

const outcome = {
  created: 'The cluster is up',
  repaired: 'The cluster was half there and is up again',
  'was up': 'The cluster was up already: nothing to do',
};

/** A Kubernetes node of plain processes in a network namespace of this machine. */
export const nativeProvider = (layout: NodeLayout): Provider => {
  const locked = <T>(work: () => Promise<T>) => withLock(join(layout.state, '.lock'), work);
  return {
    name: 'native',
    kubeconfig: pathsOf(layout).kubeconfig,
    unavailable: async () => {
      if (platform !== 'linux') return 'it needs Linux';
      if (getuid?.() !== 0) return 'it needs root: network namespaces, mounts and cgroups are made';
      return undefined;
    },
    up: (onProgress) => locked(async () => outcome[await ensureNode(layout, onProgress)]),
    down: () =>
      locked(async () => {
        await removeNode(layout);
        return `The cluster is gone; keys, images and logs stay in ${layout.state}`;
      }),
    status: async () => {
      const { up, kubeconfig, components, nodeReady, dnsReady } = await nodeStatus(layout);
      const parts = Object.fromEntries(components.map((component) => [component.name, partStatus(component)]));
      parts['node'] = nodeReady ? 'ready' : 'not ready';
      parts['dns'] = dnsReady ? 'ready' : 'not ready';
      return { up, kubeconfig, parts };
    },
    load: (images, onProgress) => loadImages(nodeImageStore(layout), images, onProgress),
  };
};
