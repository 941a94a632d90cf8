import { type Verdict, verdict } from '../plan/conditions.ts';
import { ResourceQuotas } from '../plan/kinds.ts';
import { quotaName, uncounted } from '../plan/quota.ts';
import { deleteChild } from './apply.ts';
import type { Context } from './context.ts';
import type { KubeObject } from './ports.ts';

/** Time for the quota controller to count, before the quota is made anew: a new one is counted at once. */
const patienceMs = 3_000;

/**
 * Undefined when the quota counts all that it limits: a half-counted one refuses what it should not. One that was not looked at yet refuses
 * nothing and may do so in a moment, so a Tenant that is called ready waits for it; where nobody counts at all it does not wait for ever.
 */
export const quotaTrouble = async (
  { cluster, now }: Pick<Context, 'cluster' | 'now'>,
  namespace: string,
): Promise<Verdict<'PoliciesReady'> | undefined> => {
  const quota = await cluster.get(ResourceQuotas, quotaName, namespace);
  if (!quota) return waiting('the quota is being made');
  const isYoung = now() - Date.parse(quota.metadata.creationTimestamp ?? '') <= patienceMs;
  if (!isCounted(quota)) return isYoung ? waiting('Kubernetes has not counted for the quota yet') : undefined;
  const missing = uncounted(quota);
  if (missing.length === 0) return undefined;
  if (!quota.metadata.deletionTimestamp && !isYoung) await deleteChild(cluster, quota);
  const why = `Kubernetes does not count ${missing.join(', ')} yet, and refuses new ones until then`;
  return waiting(`${why}; the quota is made anew until it does`);
};

const waiting = (why: string) => verdict('PoliciesReady', 'Unknown', 'Waiting', why);
const isCounted = (quota: KubeObject): boolean =>
  (quota['status'] as { hard?: object } | undefined)?.hard !== undefined;
