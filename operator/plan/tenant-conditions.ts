import type { Condition } from '../api/fields.ts';
import type { AccountState, ServerFacts } from '../reconcile/ports.ts';
import { readyWithoutMessaging, summary, suspendedReady, type Verdict, verdict } from './conditions.ts';

export interface TenantFacts {
  readonly generation: number;
  readonly accepted: Verdict<'Accepted'>;
  readonly namespace: Verdict<'NamespaceReady'>;
  readonly policies: Verdict<'PoliciesReady'>;
  readonly messaging: Verdict<'MessagingReady'>;
  readonly capacity: Verdict<'CapacityOk'>;
  readonly durable: Verdict<'Durable'>;
  readonly suspended: boolean;
}

export const tenantVerdicts = (facts: TenantFacts, previous: readonly Condition[]): Verdict[] => {
  const stalled = stalledVerdict(facts);
  const ready = readyVerdict(facts, stalled);
  return [
    ...summary({ ready, stalled, generation: facts.generation }, previous),
    facts.accepted,
    facts.namespace,
    facts.policies,
    facts.messaging,
    facts.capacity,
    facts.durable,
    facts.suspended
      ? verdict('Suspended', 'True', 'Suspended', 'spec.suspend is true; set it to false to go on')
      : verdict('Suspended', 'False', 'NotSuspended'),
  ];
};

const stalledVerdict = ({ accepted, namespace, messaging, capacity }: TenantFacts): Verdict<'Stalled'> => {
  if (accepted.status === 'False') return verdict('Stalled', 'True', 'NotAccepted', accepted.message);
  if (namespace.status === 'False' && namespace.reason !== 'Terminating')
    return verdict('Stalled', 'True', 'NamespaceTaken', namespace.message);
  if (messaging.reason === 'CapacityExceeded') return verdict('Stalled', 'True', 'CapacityExceeded', messaging.message);
  if (capacity.reason === 'Exceeded') return verdict('Stalled', 'True', 'CapacityExceeded', capacity.message);
  return verdict('Stalled', 'False', 'Progressing');
};

const readyVerdict = (facts: TenantFacts, stalled: Verdict<'Stalled'>): Verdict<'Ready'> => {
  if (stalled.status === 'True') return verdict('Ready', 'False', 'Stalled', stalled.message);
  const { namespace, policies, messaging } = facts;
  if (namespace.status !== 'True') return verdict('Ready', 'Unknown', 'Waiting', namespace.message);
  if (policies.status !== 'True')
    return verdict('Ready', 'Unknown', policies.status === 'False' ? 'Error' : 'Waiting', policies.message);
  if (messaging.status !== 'True') return readyWithoutMessaging(messaging);
  return facts.suspended ? suspendedReady : verdict('Ready', 'True', 'Ready');
};

export const accountVerdict = (state: AccountState): Verdict<'MessagingReady'> =>
  state.inSync && state.serversAcked >= state.serversTotal
    ? verdict('MessagingReady', 'True', 'Ready')
    : verdict(
        'MessagingReady',
        'False',
        'AccountOutOfSync',
        state.message ??
          `${state.serversAcked} of ${state.serversTotal} NATS servers hold the newest account; it is pushed again`,
      );

export const durableVerdict = ({ syncAlways }: Pick<ServerFacts, 'syncAlways'>): Verdict<'Durable'> => {
  if (syncAlways === undefined) return verdict('Durable', 'Unknown', 'NotChecked', 'the servers do not say');
  return syncAlways
    ? verdict('Durable', 'True', 'SyncAlways')
    : verdict(
        'Durable',
        'False',
        'Relaxed',
        'NATS syncs now and then: a power cut can lose accepted messages; run it with sync_interval: always',
      );
};

export const capacityVerdict = (
  used: { file: number; memory: number; ok: boolean },
  limits: { storage: number; memory: number },
): Verdict<'CapacityOk'> =>
  used.ok
    ? verdict('CapacityOk', 'True', 'Enough')
    : verdict(
        'CapacityOk',
        'False',
        'Exceeded',
        `all streams together may take ${mebibytes(used.file)} of ${mebibytes(limits.storage)} file and ${mebibytes(used.memory)} of ${mebibytes(limits.memory)} memory storage; raise messaging.storage or lower inbox.maxBytes and deadLetter.maxBytes of Integrations`,
      );
const mebibytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)}Mi`;
