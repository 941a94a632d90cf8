import type { Command } from 'commander';
import { Finding } from './outcome.ts';

/*
 * `kanava guard-uninstall`: what the chart's pre-delete hook runs. It fails while Integrations exist, and with it `helm uninstall`, before
 * anything is removed. Helm leaves such a release `uninstalling`, which takes no upgrade: the text says how to repair it.
 */
interface Options {
  readonly release: string;
  readonly namespace: string;
  readonly revision: string;
  readonly kubeconfig?: string;
}

interface IntegrationList {
  readonly metadata: { readonly remainingItemCount?: number };
  readonly items: readonly { readonly metadata: { readonly name: string; readonly namespace: string } }[];
}

/** As many as are named; the rest is counted. */
const shown = 10;

/** `env` is the process's own: where a pod finds its API server. */
export const addGuard = (program: Command, env: NodeJS.ProcessEnv): void => {
  program
    .command('guard-uninstall', { hidden: true })
    .description('fail while Integrations exist; a hook of the chart')
    .requiredOption('--release <name>', 'release of Helm')
    .requiredOption('-n, --namespace <name>', 'namespace of the release')
    .requiredOption('--revision <number>', 'revision of the release')
    .option('--kubeconfig <file>', 'default: $KUBECONFIG; in a pod its own ServiceAccount')
    .action(async (options: Options) => {
      const list = await integrations(options, env);
      if (list.items.length > 0) throw new Finding(refusal(list, options));
      console.log('No Integration exists: the operator can go.');
    });
};

const integrations = async ({ kubeconfig }: Options, env: NodeJS.ProcessEnv): Promise<IntegrationList> => {
  // Loaded when needed: `kanava --help` shall not wait for clients.
  const [{ connectKubeClient }, { apiPath }, { ApiError }, { Integrations }] = await Promise.all([
    import('./kube-client.ts'),
    import('../operator/kube/api-path.ts'),
    import('../operator/reconcile/ports.ts'),
    import('../operator/api/meta.ts'),
  ]);
  const client = await connectKubeClient({ env, ...(kubeconfig ? { kubeconfig } : {}) });
  try {
    const query = { limit: String(shown) };
    return (await client.request({ method: 'GET', path: apiPath(Integrations, {}), query })) as IntegrationList;
  } catch (error) {
    // Without the CRD there is none.
    if (error instanceof ApiError && error.status === 404) return { metadata: {}, items: [] };
    throw error;
  } finally {
    await client.close();
  }
};

/** One line without quotes: Helm 4 writes the log of a hook as one quoted line, in which others are hard to read and to copy. */
const refusal = ({ items, metadata }: IntegrationList, { release, namespace, revision }: Options): string => {
  const more = metadata.remainingItemCount ?? 0;
  const count = items.length + more;
  const names = items.map((item) => `${item.metadata.namespace}/${item.metadata.name}`).join(', ');
  return [
    `uninstall refused, nothing was removed: ${count === 1 ? '1 Integration exists' : `${count} Integrations exist`}: ${names}${more > 0 ? ` and ${more} more` : ''}.`,
    'Without the operator nothing renews their credentials (they end within a day), and deleting them would hang.',
    `Helm shows the release as uninstalling now, and upgrades of it fail; this repairs it: helm rollback ${release} ${revision} --namespace ${namespace}`,
    `(if that revision is gone: the last one of helm history ${release} --namespace ${namespace}).`,
    'To uninstall, delete the Integrations first: kubectl get integrations.kanava.dev --all-namespaces',
  ].join(' ');
};
