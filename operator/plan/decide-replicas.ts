import { longestAnswerMs } from '../../runtime/flow.ts';
import { inUseEveryMs } from '../../runtime/nats/names.ts';
import type { EffectiveIntegration } from '../api/effective.ts';
import type { Work } from './work.ts';

/*
 * How many workers an Integration should have. Pure: the time and what is known of the work come in, the next state and the decision go
 * out; so it can be tried on a thousand load curves (test/operator/plan/decide-replicas.test.ts).
 *
 * What waits decides how many pods are needed, at once. What a pod holds keeps that pod, and adds none: another pod could not help. What
 * is parked until its next attempt needs one pod, however much it is, and so do requests that want an answer. Fewer pods come only when
 * fewer would have done for a while, and none only after `idleAfter` without any work that was seen; nothing that is not known changes
 * anything.
 */
export type ScalingPolicy =
  | { readonly mode: 'Fixed'; readonly replicas: number }
  | {
      readonly mode: 'Auto';
      readonly minReplicas: number;
      readonly maxReplicas: number;
      readonly lagPerReplica: number;
      readonly idleAfterMs: number;
    };

/** From a call to the look that shows it. */
const seenWithinMs = 5_000;

/** Nothing pulls while the Integration, or its tenant, is suspended. */
export const scalingPolicy = (
  { suspend, scaling, delivery, sources }: Pick<EffectiveIntegration, 'suspend' | 'scaling' | 'delivery' | 'sources'>,
  tenant: { readonly suspend: boolean },
): ScalingPolicy => {
  if (suspend || tenant.suspend) return { mode: 'Fixed', replicas: 0 };
  const { mode, replicas, lagPerReplica, idleAfterMs } = scaling;
  if (mode === 'Manual') return { mode: 'Fixed', replicas: replicas ?? 1 };
  // In order means one pod at a time for each partition; more would only wait for their turn.
  const useful = delivery.ordering === 'Key' ? delivery.partitions : Number.POSITIVE_INFINITY;
  const [minReplicas, maxReplicas] = [Math.min(scaling.minReplicas, useful), Math.min(scaling.maxReplicas, useful)];
  // A call is seen when it comes, or the one some seconds before it, and not when it ends: nobody falls asleep with one in work.
  const answerMs = longestAnswerMs(sources);
  const awakeMs = answerMs > 0 ? Math.max(idleAfterMs, answerMs + inUseEveryMs + seenWithinMs) : idleAfterMs;
  return { mode, minReplicas, maxReplicas, lagPerReplica, idleAfterMs: awakeMs };
};

/** What must be ready for the Integration to do what its spec says: pods that only the load asks for come and go. */
export const neededReplicas = (policy: ScalingPolicy, wanted: number): number =>
  policy.mode === 'Fixed' ? policy.replicas : Math.min(wanted, Math.max(1, policy.minReplicas));

/** Times are milliseconds of one clock that never goes backwards. */
export interface ScalingState {
  readonly replicas: number;
  /** Since when no work has been seen. */
  readonly idleSince?: number | undefined;
  /** Since when fewer pods would have done, and the most that were needed in that time. */
  readonly fewer?: { readonly since: number; readonly most: number } | undefined;
}
export interface Decision {
  readonly state: ScalingState;
  /** When to decide again although nothing has changed. */
  readonly againInMs?: number | undefined;
}

/** Fewer must have done for so long; a wave of load that comes back sooner finds its pods. */
export const scaleInAfterMs = 30_000;

export const decideReplicas = (
  policy: ScalingPolicy,
  state: ScalingState,
  /** `undefined` while it is not known: NATS is away, or what was seen is too old. */
  work: Work | undefined,
  now: number,
): Decision => {
  if (policy.mode === 'Fixed') return { state: { replicas: policy.replicas } };
  const { minReplicas, maxReplicas, idleAfterMs } = policy;
  const bounded = (count: number) => Math.min(maxReplicas, Math.max(minReplicas, count));
  const current = bounded(state.replicas);
  // The times count what was seen, so they begin anew.
  if (!work) return { state: { replicas: current } };

  const idleSince = isIdle(work) ? Math.max(state.idleSince ?? now, work.calledAt ?? 0) : undefined;
  const idleLeftMs = idleSince === undefined ? Number.POSITIVE_INFINITY : idleSince + idleAfterMs - now;
  if (idleLeftMs <= 0) return { state: { replicas: minReplicas, idleSince } };

  const isCalled = work.calledAt !== undefined && now - work.calledAt < idleAfterMs;
  const needed = bounded(Math.max(podsFor(policy, current, work), isCalled ? 1 : 0));
  if (needed >= current)
    return decision({ replicas: needed, idleSince }, needed > minReplicas ? idleLeftMs : undefined);

  const fewer = {
    since: state.fewer?.since ?? now,
    most: Math.max(state.fewer?.most ?? 0, needed),
  };
  const leftMs = fewer.since + scaleInAfterMs - now;
  if (leftMs > 0) return decision({ replicas: current, idleSince, fewer }, Math.min(leftMs, idleLeftMs));
  const next = fewer.most > needed ? { since: now, most: needed } : undefined;
  return decision(
    { replicas: fewer.most, idleSince, fewer: next },
    Math.min(next ? scaleInAfterMs : Number.POSITIVE_INFINITY, idleLeftMs),
  );
};

const isIdle = ({ waiting, inFlight, parked }: Work): boolean => waiting + inFlight + parked === 0;

const podsFor = (policy: { readonly lagPerReplica: number }, current: number, work: Work): number => {
  const pods = (messages: number) => Math.ceil(messages / policy.lagPerReplica);
  const held = Math.min(current, pods(work.waiting + work.inFlight));
  // The last pod of an idle Integration stays until it has been idle for long enough.
  const last = isIdle(work) ? Math.min(1, current) : 1;
  return Math.max(pods(work.waiting), held, last);
};

const decision = (state: ScalingState, againInMs: number | undefined): Decision => ({
  state,
  againInMs: againInMs === Number.POSITIVE_INFINITY ? undefined : againInMs,
});
