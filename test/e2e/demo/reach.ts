import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { mustKubectl } from '../../cluster/kubectl.ts';
import type { Platform } from './platform.ts';

/** An address of a Service that works from this machine. */
export interface Reached {
  readonly host: string;
  readonly port: number;
  close(): void;
}

/** By the Service's own address where the machine has a route to it (the native node), else through `kubectl port-forward`. */
export const reachService = async (
  platform: Platform,
  namespace: string,
  name: string,
  port: number,
): Promise<Reached> => {
  if (platform.provider.name !== 'native') return forwardService(platform, namespace, name, port);
  const host = await mustKubectl(platform.kubectl, [
    'get',
    'service',
    name,
    '-n',
    namespace,
    '-o',
    'jsonpath={.spec.clusterIP}',
  ]);
  return { host, port, close: () => {} };
};

/** Through the API server to `localhost`, a name that the certificate of NATS holds for. */
export const forwardService = (
  { kubectlPath, provider }: Platform,
  namespace: string,
  name: string,
  port: number,
): Promise<Reached> =>
  new Promise((resolve, reject) => {
    const args = ['--kubeconfig', provider.kubeconfig, 'port-forward', '-n', namespace, `service/${name}`, `:${port}`];
    const child = spawn(kubectlPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const stop = () => void child.kill();
    process.once('exit', stop);
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.once('error', reject);
    child.once('exit', (code) =>
      reject(new Error(`kubectl port-forward service/${name} ended with ${code}: ${said.trim()}`)),
    );
    createInterface(child.stdout).on('line', (line) => {
      const found = /^Forwarding from 127\.0\.0\.1:(\d+)/.exec(line);
      if (found) resolve({ host: 'localhost', port: Number(found[1]), close: stop });
    });
  });
