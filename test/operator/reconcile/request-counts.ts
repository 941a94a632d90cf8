import type { KubeApi } from '../../cluster/kube-api.ts';
import { mustKubectl } from '../../cluster/kubectl.ts';

/* How much an operator asks of the API server: by its own count, and by the API server's. */
export type Counts = ReadonlyMap<string, number>;

export const growth = (before: Counts, after: Counts): Map<string, number> =>
  new Map(
    [...after]
      .map(([key, count]): [string, number] => [key, count - (before.get(key) ?? 0)])
      .filter(([, count]) => count > 0)
      .sort(([, a], [, b]) => b - a),
  );
export const total = (counts: Counts): number => counts.values().reduce((sum, count) => sum + count, 0);

interface Process {
  readonly healthPort: number;
}
const samples = async ({ healthPort }: Process, metric: string): Promise<[labels: string, value: number][]> => {
  const text = await (await fetch(`http://127.0.0.1:${healthPort}/metrics`)).text();
  return [...text.matchAll(new RegExp(`^${metric}\\{(.*)\\} (\\d+)$`, 'gm'))].map(([, labels = '', value]) => [
    labels,
    Number(value),
  ]);
};
const label = (labels: string, name: string): string => new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labels)?.[1] ?? '';
const summed = (entries: Iterable<readonly [string, number]>): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const [key, count] of entries) counts.set(key, (counts.get(key) ?? 0) + count);
  return counts;
};

/** All requests that an operator has sent, by method; `PUT` is its lease and nothing else. */
export const sentBy = async (operator: Process): Promise<Counts> =>
  summed(
    (await samples(operator, 'rest_client_requests_total')).map(([labels, count]) => [label(labels, 'method'), count]),
  );

/** Reconciles so far, by controller. */
export const reconcilesOf = async (operator: Process): Promise<Counts> =>
  summed(
    (await samples(operator, 'controller_runtime_reconcile_total')).map(([labels, count]) => [
      label(labels, 'controller'),
      count,
    ]),
  );

/** All that an API server has answered, by verb, resource and subresource, whoever asked. */
export const servedBy = async ({ kubectl }: Pick<KubeApi, 'kubectl'>): Promise<Counts> => {
  const text = await mustKubectl(kubectl, ['get', '--raw', '/metrics']);
  const lines = text.matchAll(/^apiserver_request_total\{(.*)\} (\d+)$/gm);
  return summed(
    [...lines].map(([, labels = '', value]) => {
      const dryRun = label(labels, 'dry_run') === '' ? '' : 'dry-run';
      const what = [label(labels, 'verb'), label(labels, 'resource'), label(labels, 'subresource'), dryRun];
      return [what.filter(Boolean).join(' '), Number(value)];
    }),
  );
};

/** What an operator reads and writes one by one of what it manages; with other resources the API server also asks itself. */
export const managedOnly = (counts: Counts): Map<string, number> =>
  new Map([...counts].filter(([what]) => managed.test(what) && !what.endsWith('dry-run')));
const managed =
  /^(?!LIST|WATCH)\w+ (integrations|connections|tenants|configmaps|secrets|services|serviceaccounts|deployments|replicasets|namespaces|networkpolicies|rolebindings|resourcequotas|limitranges|events)( |$)/;
