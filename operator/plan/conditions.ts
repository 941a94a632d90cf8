import type { ConditionReason, ConditionType } from '../api/conditions.ts';
import type { Condition } from '../api/fields.ts';

/** What one condition is now; the catalogue of operator/api/conditions.ts knows no other reasons. */
export type Verdict<T extends ConditionType = ConditionType> = {
  readonly [K in T]: {
    readonly type: K;
    readonly status: Condition['status'];
    readonly reason: ConditionReason<K>;
    readonly message: string;
  };
}[T];

export const verdict = <T extends ConditionType>(
  type: T,
  status: Condition['status'],
  reason: ConditionReason<T>,
  message = '',
): Verdict<T> => ({ type, status, reason, message });

interface Writing {
  readonly previous: readonly Condition[];
  readonly generation: number;
  /** Unix milliseconds. */
  readonly now: number;
}

/** Conditions as they are stored: the time of the last transition stays while the status stays. */
export const stampConditions = (verdicts: readonly Verdict[], { previous, generation, now }: Writing): Condition[] =>
  verdicts.map(({ type, status, reason, message }) => {
    const before = previous.find((condition) => condition.type === type);
    const since = before?.status === status ? before.lastTransitionTime : secondsTime(now);
    return {
      type,
      status,
      reason,
      message: message.slice(0, 4096),
      lastTransitionTime: since,
      observedGeneration: generation,
    };
  });

/** Kubernetes writes times to the second. */
export const secondsTime = (now: number): string => new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');

/**
 * `Reconciling`, for kstatus: from a new generation until it is ready or stalled, and not again when later trouble comes and goes.
 */
export const reconcilingVerdict = (
  facts: { stalled: boolean; ready: boolean; generation: number },
  previous: readonly Condition[],
): Verdict<'Reconciling'> => {
  if (facts.stalled) return verdict('Reconciling', 'False', 'Stalled');
  const before = previous.find((condition) => condition.type === 'Reconciling');
  const settled =
    before?.status === 'False' && before.observedGeneration === facts.generation && before.reason === 'UpToDate';
  return facts.ready || settled
    ? verdict('Reconciling', 'False', 'UpToDate')
    : verdict('Reconciling', 'True', 'NewGeneration', 'the newest spec is being put in place');
};

/** The three that sum up all others: `Ready` for people, `Reconciling` and `Stalled` for kstatus. */
export const summary = (
  { ready, stalled, generation }: { ready: Verdict<'Ready'>; stalled: Verdict<'Stalled'>; generation: number },
  previous: readonly Condition[],
): Verdict[] => [
  ready,
  reconcilingVerdict({ stalled: stalled.status === 'True', ready: ready.status === 'True', generation }, previous),
  stalled,
];

export const suspendedReady = verdict('Ready', 'True', 'Suspended', 'suspended as asked; what is stored stays');

/** `Ready` while nothing can be stored: that is for others to mend, so it is unknown and not false. */
export const readyWithoutMessaging = ({ reason, message }: Verdict<'MessagingReady'>): Verdict<'Ready'> => {
  if (reason === 'Unreachable') return verdict('Ready', 'Unknown', 'MessagingUnreachable', message);
  return verdict('Ready', 'Unknown', reason === 'Waiting' ? 'Waiting' : 'Error', message);
};

export const statusConditions = (status: unknown): readonly Condition[] =>
  (status as { conditions?: readonly Condition[] } | undefined)?.conditions ?? [];

export const isTrue = (conditions: readonly Condition[], type: ConditionType): boolean =>
  conditions.some((condition) => condition.type === type && condition.status === 'True');
