import type { Reconcile } from '../control/controller.ts';
import { managedBy } from '../plan/children.ts';
import { Deployments, Pods, Secrets } from '../plan/kinds.ts';
import { mountsSecret, secretsRevision } from '../plan/mounted-secrets.ts';
import type { Context } from './context.ts';
import type { KubeObject } from './ports.ts';

/**
 * A changed Secret gets to the files of a running pod when the kubelet looks at the pod again: up to a minute and a half later, or at once
 * when the pod itself changes. So the pods that mount it are annotated. The kubelet's own look stays the truth; nothing depends on this.
 */
export const reconcileMountedSecret =
  ({ cluster }: Pick<Context, 'cluster'>): Reconcile =>
  async (key) => {
    const [namespace = '', name = ''] = key.split('/');
    const secret = await cluster.get(Secrets, name, namespace);
    if (!secret) return undefined;
    const annotations = secretsRevision(secret);
    const mounting = cluster
      .list(Deployments, { namespace, labels: managedBy })
      .filter((deployment) => mountsSecret(deployment, name));
    if (mounting.length === 0) return undefined;
    // One read for all: many Integrations may share a Connection.
    for (const pod of await cluster.read(Pods, { namespace, labels: managedBy }))
      if (!pod.metadata.deletionTimestamp && mounting.some((deployment) => isOf(pod, deployment)))
        await cluster.annotate(Pods, pod, annotations);
    return undefined;
  };

const isOf = (pod: KubeObject, deployment: KubeObject): boolean => {
  const { selector } = deployment['spec'] as { selector: { matchLabels: Record<string, string> } };
  return Object.entries(selector.matchLabels).every(([name, value]) => pod.metadata.labels?.[name] === value);
};
