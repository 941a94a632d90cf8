import type { Log } from '../../runtime/connector.ts';
import type { Condition } from '../api/fields.ts';
import type { Settings } from '../settings.ts';
import type { OwnRoutes } from './own-routes.ts';
import type { Broker, Cluster } from './ports.ts';
import type { RecentLooks } from './recent-looks.ts';
import type { Scaler } from './scaler.ts';

/** What every reconciler works with. */
export interface Context {
  readonly cluster: Cluster;
  readonly broker: Broker;
  readonly settings: Settings;
  /** PEM of the CA that NATS is verified with; without it connections to NATS are not encrypted. */
  readonly natsCa: string | undefined;
  /** How long credentials of pods are valid. */
  readonly credentialsMs: number;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly log: Log;
  /** Scales the workers: told of by the reconciler of Integrations. */
  readonly scaler: Scaler;
  /** Secrets are watched namespace by namespace: there is no right to all of them. */
  readonly secretWatches: SecretWatches;
  /** At the accounts of Tenants, by the Tenant's name. */
  readonly accountLooks: RecentLooks;
  /** For large bodies that nobody refers to, by the Integration's key; less often than once in `bodySweepMs`. */
  readonly bodySweeps: RecentLooks;
  /** By account. */
  readonly ownRoutes: OwnRoutes;
}
export interface SecretWatches {
  /** Resolves when the Secrets of the namespace are known. */
  open(namespace: string): Promise<void>;
  close(namespace: string): void;
}

/**
 * After which time an object is looked at again although nothing has happened to it. Where all is well that finds only what no event and no
 * figure of the meter tells of, such as a setting that somebody changed in NATS; there may be thousands of them.
 */
const settledEveryMs = 60_000;
/** Less often where there are many: what is well shall not cost the more the more of it there is. */
const settledAtMostMs = 10 * 60_000;
/** What is not well, or shows what nobody tells of. */
export const closelyEveryMs = 10_000;
/** While something is being put in place; less often the longer it takes, because looking does not make it faster. */
export const hurryMs = 500;
const patientMs = 30_000;

/** Who wakes is well for a while and no longer, and who is suspended may have pods that end. */
const settled: ReadonlySet<string> = new Set(['Ready', 'Running', 'Idle']);

/** `restMs`: between two looks at objects that are well, whichever they are, on average; for `count` of them. */
export const lookAgainMs = (
  conditions: readonly Condition[],
  now: number,
  { count, restMs }: { readonly count: number; readonly restMs: number },
): number => {
  const reconciling = conditions.find(({ type }) => type === 'Reconciling');
  if (reconciling?.status === 'True')
    return Math.min(patientMs, Math.max(hurryMs, (now - Date.parse(reconciling.lastTransitionTime)) / 4));
  const isSettled = conditions.some(({ type, reason }) => type === 'Ready' && settled.has(reason));
  return isSettled ? Math.min(settledAtMostMs, Math.max(settledEveryMs, count * restMs)) : closelyEveryMs;
};
/** What is to be swept is an hour old at least. */
export const bodySweepMs = 10 * 60_000;
/** Deleting never waits longer than this for NATS. */
export const releaseWithinMs = 10 * 60_000;
