import { homedir } from 'node:os';
import { join } from 'node:path';
import { isInstalled, run } from '../command.ts';
import { currentKubeconfig } from '../settings.ts';
import type { Provider } from './provider.ts';

const kubeconfig = currentKubeconfig || join(homedir(), '.kube', 'config');
const answers = async (): Promise<boolean> =>
  (await run('kubectl', ['--request-timeout=5s', 'get', '--raw', '/readyz'])).code === 0;

/** The cluster that kubectl talks to now. It is used, never made or removed. */
export const currentProvider: Provider = {
  name: 'current',
  kubeconfig,
  unavailable: async () => {
    if (!(await isInstalled('kubectl'))) return 'kubectl is not installed';
    return (await answers()) ? undefined : `kubectl's current context (${kubeconfig}) does not answer`;
  },
  up: async () => 'The current context is used as it is',
  down: async () => 'The current context is not ours: nothing was removed',
  status: async () => {
    const up = await answers();
    return { up, kubeconfig, parts: { api: up ? 'ready' : 'not ready' } };
  },
  load: async (images, onProgress) => {
    onProgress('Images cannot be loaded into a cluster that is not ours. Push these to a registry that it reads:');
    for (const { ref, archive } of images) onProgress(`  ${ref}  (${archive})`);
  },
};
