import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { binaryPath } from '../binaries.ts';
import { httpsGet } from '../https-probe.ts';
import { type Kubectl, kubectlFor } from '../kubectl.ts';
import { apiUrl, type NodeLayout, pathsOf } from './layout.ts';

/** GET as administrator; status 0 when nothing answers. */
export const apiGet = async (layout: NodeLayout, path: string): Promise<{ status: number; body: string }> => {
  const { pki } = pathsOf(layout);
  const files = ['ca.crt', 'admin.crt', 'admin.key'].map((file) => readFile(join(pki, file)));
  const [ca, cert, key] = await Promise.all(files).catch(() => []);
  if (!ca || !cert || !key) return { status: 0, body: '' };
  return httpsGet(`${apiUrl(layout)}${path}`, { ca, cert, key });
};

export const readyApi = async (layout: NodeLayout): Promise<boolean> =>
  (await apiGet(layout, '/readyz')).status === 200;

export const nodeKubectl = (layout: NodeLayout): Kubectl =>
  kubectlFor(binaryPath('kubectl'), pathsOf(layout).kubeconfig);

interface WithConditions {
  status?: { conditions?: { type: string; status: string }[] };
}

/** Whether the object at the path has a condition that is True. */
export const hasCondition = async (layout: NodeLayout, path: string, type: string): Promise<boolean> => {
  const { status, body } = await apiGet(layout, path);
  if (status !== 200) return false;
  const { conditions = [] } = (JSON.parse(body) as WithConditions).status ?? {};
  return conditions.some((condition) => condition.type === type && condition.status === 'True');
};
