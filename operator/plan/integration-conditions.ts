import type { Applied } from '../../runtime/flow.ts';
import type { Condition } from '../api/fields.ts';
import type { Assessment } from './acceptance.ts';
import {
  readyWithoutMessaging,
  reconcilingVerdict,
  summary,
  suspendedReady,
  type Verdict,
  verdict,
} from './conditions.ts';
import type { Rollout } from './deployment.ts';

/* One function a condition, from what was observed; then the summary. The reasons are those of operator/api/conditions.ts. */
export interface Facts {
  readonly generation: number;
  readonly accepted: Assessment['accepted'];
  readonly connections: Assessment['connections'];
  readonly suspended: { readonly integration: boolean; readonly tenant: boolean };
  readonly messaging: Verdict<'MessagingReady'>;
  /** Absent while there was never a spec that could be used. */
  readonly workers?:
    | undefined
    | {
        readonly wanted: number;
        /** Of those wanted, so many must be ready; the others come and go with the load. */
        readonly needed: number;
        readonly ready: number;
        readonly rollout: Rollout;
        /** Why the API server refuses pods, such as a quota. */
        readonly failure?: string | undefined;
      };
  /** Of the one pod that fetches; absent without sources to fetch from. */
  readonly intake?:
    | undefined
    | { readonly ready: number; readonly rollout: Rollout; readonly failure?: string | undefined };
  /** What workers that are not ready say of themselves. */
  readonly paused?: undefined | { readonly part: string; readonly code: string };
  /** Absent without sources that the gateway serves. */
  readonly gateway?:
    | undefined
    | { readonly revision: number | undefined; readonly applied: Applied | undefined; readonly uid: string };
  readonly deadLetters?:
    | undefined
    | { readonly count: number; readonly full: boolean; readonly lastReason?: string | undefined };
  /** Events of the bus that were dropped unread, and how to say that one knows. */
  readonly gap?: undefined | { readonly missed: number; readonly through: number; readonly acknowledge: string };
}

/** `now` in Unix milliseconds. */
export const integrationVerdicts = (facts: Facts, previous: readonly Condition[], now: number): Verdict[] => {
  const waking = isWaking(facts, previous, now);
  const available = availableVerdict(facts, waking);
  const stalled = stalledVerdict(facts);
  const ready = readyVerdict(facts, { stalled, available, waking }, previous);
  return [
    ...summary({ ready, stalled, generation: facts.generation }, previous),
    facts.accepted,
    facts.connections,
    facts.messaging,
    available,
    activeVerdict(facts),
    suspendedVerdict(facts),
    deadLettersVerdict(facts),
  ];
};

/** A first pod takes seconds; when it takes longer, something may be wrong. */
const wakeWithinMs = 60_000;
/** From idle to the first worker all is well. Where one was ready and is not any more, it is not. */
const isWaking = (facts: Facts, previous: readonly Condition[], now: number): boolean => {
  const { workers } = facts;
  if (!workers || workers.wanted === 0 || workers.ready > 0 || workers.failure || facts.paused) return false;
  const active = previous.find(({ type }) => type === 'Active');
  const since = active?.status === 'True' ? Date.parse(active.lastTransitionTime) : now;
  const wasAsleep = previous.some(({ type, reason }) => type === 'Ready' && (reason === 'Idle' || reason === 'Waking'));
  return wasAsleep && now - since < wakeWithinMs && wasReady(facts, previous);
};
const wasReady = ({ generation }: Facts, previous: readonly Condition[]): boolean =>
  previous.some(
    ({ type, status, observedGeneration }) =>
      type === 'Ready' && status === 'True' && observedGeneration === generation,
  );

const isSuspended = ({ suspended }: Facts) => suspended.integration || suspended.tenant;

/** The first thing that needs a user, if any. */
const stalledVerdict = ({ accepted, connections, messaging, paused, deadLetters, gap }: Facts): Verdict<'Stalled'> => {
  if (accepted.status === 'False') return verdict('Stalled', 'True', 'NotAccepted', accepted.message);
  if (connections.status === 'False') return verdict('Stalled', 'True', 'ConnectionsNotReady', connections.message);
  if (
    messaging.status === 'False' &&
    (messaging.reason === 'CapacityExceeded' || messaging.reason === 'StreamImmutable')
  )
    return verdict('Stalled', 'True', messaging.reason, messaging.message);
  if (paused) return verdict('Stalled', 'True', 'Paused', pausedText(paused));
  if (deadLetters?.full)
    return verdict(
      'Stalled',
      'True',
      'DeadLettersFull',
      `${deadLetters.count} dead letters take all of deadLetter.maxBytes, so failing messages wait in the inbox; replay or discard them, or raise deadLetter.maxBytes`,
    );
  if (gap)
    return verdict(
      'Stalled',
      'True',
      'BusGap',
      `the bus dropped up to ${gap.missed} events (counting those of other types) before this subscriber read them, the last of them number ${gap.through}; it goes on with those after it. Find out why it was behind, or raise messaging.bus of the Tenant; then: ${gap.acknowledge}`,
    );
  return verdict('Stalled', 'False', 'Progressing');
};

const pausedText = ({ part, code }: NonNullable<Facts['paused']>): string =>
  `"${part}" fails every message with ${code}: configuration or credentials are wrong. Messages are accepted and wait, none of them becomes a dead letter. Repair the Secret, the Connection or the spec (the worker's log has the whole text); workers try one message at least each minute and go on by themselves`;

const availableVerdict = (facts: Facts, waking: boolean): Verdict<'Available'> => {
  const { workers, gateway, intake } = facts;
  if (!workers) return verdict('Available', 'False', 'NotDeployed', 'there was no spec that could be used yet');
  if (isSuspended(facts)) return verdict('Available', 'False', 'Suspended', 'messages are accepted and wait');
  const problem = gateway && notServed(gateway);
  if (problem) return verdict('Available', 'False', 'GatewayNotReady', problem);
  if (intake && intake.ready === 0) return verdict('Available', 'False', 'IntakeNotReady', intakeText(intake));
  if (workers.wanted === 0) return verdict('Available', 'True', 'Idle');
  if (waking) return verdict('Available', 'True', 'Waking');
  if (workers.ready === 0 && facts.paused) return verdict('Available', 'False', 'Paused', pausedText(facts.paused));
  if (workers.ready === 0)
    return verdict(
      'Available',
      'False',
      'NoWorkers',
      `no worker of ${workers.wanted} is ready: messages are accepted and wait`,
    );
  return verdict('Available', 'True', 'Serving');
};

const intakeText = ({ failure }: NonNullable<Facts['intake']>): string =>
  `the pod that fetches for the sources is not ready: nothing new is accepted; what is wrong says its log, or kubectl describe when it does not start${failure ? ` (${failure})` : ''}`;

type Gateway = NonNullable<Facts['gateway']>;
/** Served is what the gateway itself says, for this object; maybe still by older routes. */
const notServed = ({ applied, uid }: Gateway): string | undefined => {
  if (applied?.uid !== uid) return 'the gateway does not serve the sources yet';
  return applied.error === undefined ? undefined : `the gateway cannot serve the sources: ${applied.error}`;
};
/** Ready is only who is served by the newest routes. */
const notCurrent = (gateway: Gateway): string | undefined => {
  const { revision, applied } = gateway;
  if (revision === undefined) return "the routes are not written yet: the gateway's secrets are being put together";
  if ((applied?.revision ?? 0) < revision) return `the gateway has not taken up revision ${revision} of the routes yet`;
  return notServed(gateway);
};

const readyVerdict = (
  facts: Facts,
  found: { stalled: Verdict<'Stalled'>; available: Verdict<'Available'>; waking: boolean },
  previous: readonly Condition[],
): Verdict<'Ready'> => {
  const { messaging, workers, gateway, intake } = facts;
  const { stalled, available, waking } = found;
  if (stalled.status === 'True') return verdict('Ready', 'False', 'Stalled', stalled.message);
  if (facts.suspended.tenant) return suspendedReady;
  if (messaging.status !== 'True') return readyWithoutMessaging(messaging);
  if (isSuspended(facts)) return suspendedReady;
  const behind = gateway && notCurrent(gateway);
  if (behind) return verdict('Ready', 'Unknown', 'GatewayNotReady', behind);
  if (intake && (intake.ready === 0 || (intake.rollout === 'running' && !wasReady(facts, previous))))
    return verdict('Ready', 'Unknown', 'IntakeNotReady', intakeText(intake));
  if (!workers) return verdict('Ready', 'Unknown', 'Waiting', available.message);
  if (workers.wanted === 0) return verdict('Ready', 'True', 'Idle');
  if (waking) return verdict('Ready', 'True', 'Waking', 'messages wait; a worker is starting');
  const isNewest = workers.rollout === 'done' || (workers.rollout === 'unseen' && wasReady(facts, previous));
  if (!isNewest || workers.ready < workers.needed) return notEnough(facts, workers, previous);
  return verdict('Ready', 'True', 'Running');
};

const notEnough = (
  facts: Facts,
  workers: NonNullable<Facts['workers']>,
  previous: readonly Condition[],
): Verdict<'Ready'> => {
  const message = `${workers.ready} of ${workers.wanted} workers are ready${workers.rollout === 'done' ? '' : ', the newest version is being rolled out'}${workers.failure ? `; ${workers.failure}` : ''}`;
  const { reason } = reconcilingVerdict({ stalled: false, ready: false, generation: facts.generation }, previous);
  return verdict('Ready', 'Unknown', reason === 'NewGeneration' ? 'Starting' : 'WorkersNotReady', message);
};

const activeVerdict = (facts: Facts): Verdict<'Active'> => {
  if (!facts.workers) return verdict('Active', 'False', 'NotDeployed');
  if (isSuspended(facts)) return verdict('Active', 'False', 'Suspended');
  return facts.workers.wanted > 0
    ? verdict('Active', 'True', 'WorkersRunning')
    : verdict('Active', 'False', 'ScaledToZero');
};

const suspendedVerdict = ({ suspended }: Facts): Verdict<'Suspended'> => {
  if (suspended.tenant)
    return verdict('Suspended', 'True', 'TenantSuspended', 'the Tenant is suspended; ask the platform team');
  if (suspended.integration)
    return verdict('Suspended', 'True', 'Suspended', 'spec.suspend is true; set it to false to go on');
  return verdict('Suspended', 'False', 'NotSuspended');
};

const deadLettersVerdict = ({ deadLetters }: Facts): Verdict<'DeadLetters'> => {
  if (!deadLetters) return verdict('DeadLetters', 'Unknown', 'NotChecked');
  if (deadLetters.count === 0) return verdict('DeadLetters', 'False', 'None');
  const last = deadLetters.lastReason ? `, the last one for ${deadLetters.lastReason}` : '';
  return verdict(
    'DeadLetters',
    'True',
    'Present',
    `${deadLetters.count} failed for good${last}; look at them, then replay or discard`,
  );
};
