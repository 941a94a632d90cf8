import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { mustKubectl } from '../../cluster/kubectl.ts';
import { eventually } from '../pods.ts';
import type { Platform } from './platform.ts';

/** An address of a Service that works from this machine. */
export interface Reached {
  readonly host: string;
  readonly port: number;
  close(): void;
}

const connects = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1_000 });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });

/**
 * By the Service's own address where the machine has a route to it (the native node), else through `kubectl port-forward`. kube-proxy learns
 * of a ready pod after the operator does, and a connection that was too early for its rules stays without them: until one is accepted, each
 * try is a new one.
 */
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
  await eventually(
    `service/${name} in ${namespace} is reached at ${host}:${port}`,
    () => connects(host, port),
    Boolean,
  );
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
