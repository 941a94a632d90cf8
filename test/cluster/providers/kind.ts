import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isInstalled, mustRun, run } from '../command.ts';
import { dockerWorks } from '../images/builder.ts';
import { loadImages } from '../images/load.ts';
import { type Progress, step } from '../progress.ts';
import { versionOf } from '../servers.ts';
import { cacheFolder } from '../settings.ts';
import type { Provider } from './provider.ts';

const name = 'kanava';
const kubeconfig = join(cacheFolder, 'kind.kubeconfig');
const minutes = (count: number) => ({ timeout: count * 60_000 });

// kind's own default is another Kubernetes version.
const nodeImage = (): string => `kindest/node:${versionOf('kube-apiserver')}`;

const exists = async (): Promise<boolean> => (await run('kind', ['get', 'clusters'])).stdout.split('\n').includes(name);

const create = async (onProgress: Progress): Promise<string> => {
  if (await exists()) {
    await mustRun('kind', ['export', 'kubeconfig', '--name', name, '--kubeconfig', kubeconfig]);
    return 'The kind cluster was there already';
  }
  await mkdir(cacheFolder, { recursive: true });
  const args = ['--name', name, '--image', nodeImage(), '--kubeconfig', kubeconfig, '--wait', '2m'];
  await step(onProgress, `creating the kind cluster ${name}`, () =>
    mustRun('kind', ['create', 'cluster', ...args], minutes(5)),
  );
  return 'The kind cluster is up';
};

/** Kubernetes in Docker, where Docker runs and the node image is there. */
export const kindProvider: Provider = {
  name: 'kind',
  kubeconfig,
  unavailable: async () => {
    if (!(await dockerWorks())) return '`docker info` fails: no Docker daemon';
    if (!(await isInstalled('kind'))) return 'the kind command is not installed';
    if (!(await exists()) && (await run('docker', ['image', 'inspect', nodeImage()])).code !== 0)
      return `its node image is not there: run \`docker pull ${nodeImage()}\``;
    return undefined;
  },
  up: create,
  down: async () => {
    await mustRun('kind', ['delete', 'cluster', '--name', name, '--kubeconfig', kubeconfig], minutes(2));
    return 'The kind cluster is gone';
  },
  status: async () => {
    const there = await exists();
    const ready = there && (await run('kubectl', ['--kubeconfig', kubeconfig, 'get', '--raw', '/readyz'])).code === 0;
    return {
      up: ready,
      kubeconfig,
      parts: { cluster: there ? 'there' : 'missing', api: ready ? 'ready' : 'not ready' },
    };
  },
  load: (images, onProgress) => {
    const importArchive = async (archive: string) => {
      await mustRun('kind', ['load', 'image-archive', archive, '--name', name], minutes(2));
    };
    return loadImages({ ctr: ['docker', 'exec', `${name}-control-plane`, 'ctr'], importArchive }, images, onProgress);
  },
};
