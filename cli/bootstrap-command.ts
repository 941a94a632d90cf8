import { type Command, InvalidArgumentError } from 'commander';

interface Options {
  namespace: string;
  dns: string[];
  kubeconfig?: string;
}

const label = (value: string): string => {
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(value)) throw new InvalidArgumentError('not a name of a namespace.');
  return value;
};

/** `env` is the process's own: where a pod finds its API server. */
export const addBootstrap = (program: Command, env: NodeJS.ProcessEnv): void => {
  program
    .command('bootstrap')
    .description('make keys, certificates and system users of NATS once; never overwrite what exists')
    .requiredOption('-n, --namespace <name>', 'namespace of the operator', label)
    .option('--dns <names...>', 'more names that the NATS certificate shall hold for', [])
    .option('--kubeconfig <file>', 'default: $KUBECONFIG; in a pod its own ServiceAccount')
    .action(async ({ namespace, dns, kubeconfig = env['KUBECONFIG'] }: Options) => {
      // Loaded when needed: `kanava --help` shall not wait for clients and cryptography.
      const [{ bootstrap }, { connectObjects }] = await Promise.all([
        import('./bootstrap.ts'),
        import('./kube-objects.ts'),
      ]);
      const objects = await connectObjects({ namespace, env, ...(kubeconfig ? { kubeconfig } : {}) });
      try {
        await bootstrap({ objects, namespace, dns, now: new Date(), say: (line) => console.log(line) });
      } finally {
        await objects.close();
      }
    });
};
