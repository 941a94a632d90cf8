import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

const { env } = process;

/** Where everything lives that a fresh clone may reuse: built servers, images, the cluster's state. */
export const cacheFolder = join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'kanava');

/** State of the native node: keys, containers, logs, volumes. */
export const clusterState = resolve(env['KANAVA_CLUSTER_STATE'] || join(cacheFolder, 'cluster'));

export const repositoryRoot = resolve(import.meta.dirname, '../..');

/** The kubeconfig that `--provider current` uses; nothing means kubectl's own default. */
export const currentKubeconfig = env['KUBECONFIG'];

/** Environment for children: ours, with more. */
export const environmentWith = (more: Record<string, string> = {}): NodeJS.ProcessEnv => ({ ...env, ...more });

/** The environment's PATH behind another folder. */
export const searchPathAfter = (folder: string): string =>
  `${folder}:${env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin'}`;

/** In CI nothing is skipped: what is missing is a failure. */
export const inCi = env['CI'] === 'true';

/** Tests of the operator leave every status that it wrote there. */
export const statusesFolder = env['KANAVA_STATUSES'];

/** Where `npm test` has bundled the programs that tests start; without it they start from their sources. */
export const programsFolder = env['KANAVA_TEST_PROGRAMS'];
