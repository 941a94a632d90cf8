import type { Log } from '../../runtime/connector.ts';
import type { Condition } from '../api/fields.ts';
import type { Settings } from '../settings.ts';
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
}
export interface SecretWatches {
  /** Resolves when the Secrets of the namespace are known. */
  open(namespace: string): Promise<void>;
  close(namespace: string): void;
}

/** Streams, lag and the gateway's word come without events: they are looked at again after this time. */
const observeEveryMs = 10_000;
/** While something is being put in place; less often the longer it takes, because looking does not make it faster. */
export const hurryMs = 500;

export const lookAgainMs = (conditions: readonly Condition[], now: number): number => {
  const reconciling = conditions.find(({ type }) => type === 'Reconciling');
  if (reconciling?.status !== 'True') return observeEveryMs;
  const age = now - Date.parse(reconciling.lastTransitionTime);
  return Math.min(observeEveryMs, Math.max(hurryMs, age / 4));
};
/** What is to be swept is an hour old at least. */
export const bodySweepMs = 10 * 60_000;
/** Deleting never waits longer than this for NATS. */
export const releaseWithinMs = 10 * 60_000;
