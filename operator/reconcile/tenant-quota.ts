import { type Verdict, verdict } from '../plan/conditions.ts';
import { ResourceQuotas } from '../plan/kinds.ts';
import { quotaName, uncounted } from '../plan/quota.ts';
import { deleteChild } from './apply.ts';
import type { Context } from './context.ts';

/** Time for the quota controller to count, before the quota is made anew: a new one is counted at once. */
const patienceMs = 3_000;

/** Undefined when the quota counts all that it limits, or nothing (yet): only half-counted ones refuse what they should not. */
export const quotaTrouble = async (
  { cluster, now }: Pick<Context, 'cluster' | 'now'>,
  namespace: string,
): Promise<Verdict<'PoliciesReady'> | undefined> => {
  const quota = await cluster.get(ResourceQuotas, quotaName, namespace);
  const missing = quota ? uncounted(quota) : [];
  if (!quota || missing.length === 0) return undefined;
  const since = Date.parse(quota.metadata.creationTimestamp ?? '');
  if (!quota.metadata.deletionTimestamp && now() - since > patienceMs) await deleteChild(cluster, quota);
  const why = `Kubernetes does not count ${missing.join(', ')} yet, and refuses new ones until then`;
  return verdict('PoliciesReady', 'Unknown', 'Waiting', `${why}; the quota is made anew until it does`);
};
