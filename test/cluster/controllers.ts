import { join } from 'node:path';
import { ensureBinary } from './binaries.ts';
import type { KubeApi } from './kube-api.ts';
import { accepts, freePort } from './ports.ts';
import { type ServerProcess, startServer } from './server-process.ts';
import { temporaryFolder } from './temporary.ts';

/** What deletes (owner references, foreground, namespaces) and what makes pods of Deployments; no node is there to run them. */
const controllers = [
  'garbage-collector-controller',
  'namespace-controller',
  'deployment-controller',
  'replicaset-controller',
];

/**
 * The real controllers of Kubernetes beside an API server of `startKubeApi`. Start it when the CRDs are there: the garbage collector looks
 * for new kinds every 30 s only.
 */
export const startControllers = async ({ kubeconfig }: KubeApi): Promise<ServerProcess> => {
  const [command, dir, port] = await Promise.all([
    ensureBinary('kube-controller-manager'),
    temporaryFolder('controllers'),
    freePort(),
  ]);
  return startServer({
    name: 'kube-controller-manager',
    command,
    args: [
      `--kubeconfig=${kubeconfig}`,
      `--controllers=${controllers.join(',')}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      `--cert-dir=${dir}`,
      '--leader-elect=false',
      '--kube-api-qps=500',
      '--kube-api-burst=1000',
    ],
    log: join(dir, 'controllers.log'),
    ready: () => accepts(port),
  });
};
