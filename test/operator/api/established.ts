import { join } from 'node:path';
import { crdName, kinds } from '../../../operator/api/meta.ts';
import type { KubeApi } from '../../cluster/kube-api.ts';
import { mustKubectl } from '../../cluster/kubectl.ts';

const folder = join(import.meta.dirname, '..', '..', '..', 'crds');

/** Applies the generated CRDs and waits until the API server serves them. */
export const applyCrds = async (api: KubeApi): Promise<void> => {
  const names = kinds.map(crdName);
  await mustKubectl(api.kubectl, [
    'apply',
    '--server-side',
    ...names.flatMap((name) => ['-f', join(folder, `${name}.yaml`)]),
  ]);
  const crds = names.map((name) => `crd/${name}`);
  await mustKubectl(api.kubectl, ['wait', '--for=condition=Established', ...crds, '--timeout=30s']);
};
