import { catalogue } from '../operator/api/conditions.ts';
import type { Condition } from '../operator/api/fields.ts';
import type { IntegrationStatus } from '../operator/api/integration.ts';
import { statusConditions } from '../operator/plan/conditions.ts';
import type { KubeObject } from '../operator/reconcile/ports.ts';

/* What is wrong first, each with what to do, then what is there. Pure: the objects are read by the command. */
export interface Problem {
  /** `Integration acme/orders`. */
  readonly object: string;
  readonly severity: 'error' | 'warning';
  readonly reason: string;
  readonly message: string;
  /** Absent where nobody has to do anything but wait. */
  readonly action?: string;
}
export interface IntegrationRow {
  readonly namespace: string;
  readonly name: string;
  readonly ready: string;
  readonly state: string;
  readonly pods: string;
  readonly pending: number;
  readonly failed: number;
  readonly lastMessage: string;
}
export interface StatusReport {
  readonly problems: readonly Problem[];
  readonly integrations: readonly IntegrationRow[];
}

export const statusReport = (objects: readonly KubeObject[], now: number): StatusReport => ({
  problems: objects
    .flatMap(problemsOf)
    .toSorted((a, b) => Number(a.severity === 'warning') - Number(b.severity === 'warning')),
  integrations: objects.filter(({ kind }) => kind === 'Integration').map((object) => rowOf(object, now)),
});

export const titleOf = ({ kind, metadata: { name, namespace } }: KubeObject): string =>
  `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;

/** What a user should act on comes before what only follows from it. */
const causes = [
  'Accepted',
  'ConnectionsReady',
  'SecretsResolved',
  'NamespaceReady',
  'PoliciesReady',
  'MessagingReady',
  'CapacityOk',
  'Stalled',
  'Ready',
];

const problemsOf = (object: KubeObject): Problem[] => {
  const conditions = statusConditions(object['status']);
  const { observedGeneration = -1 } = (object['status'] ?? {}) as { observedGeneration?: number };
  const { generation = 0 } = object.metadata;
  const unseen: Problem[] =
    observedGeneration < generation
      ? [
          {
            object: titleOf(object),
            severity: 'error',
            reason: 'NotObserved',
            message: `the operator has not looked at generation ${generation} yet`,
            action: 'Look at the operator when it lasts: kubectl get pods -n kanava-system.',
          },
        ]
      : [];
  return [...unseen, ...unready(object, conditions), ...noticed(object, conditions)];
};

const unready = (object: KubeObject, conditions: readonly Condition[]): Problem[] => {
  const ready = conditions.find(({ type }) => type === 'Ready');
  if (!ready || ready.status === 'True') return [];
  const cause = causes
    .map((type) => conditions.find((condition) => condition.type === type))
    .find((condition) => condition && isBad(condition));
  const condition = cause ?? ready;
  // What only takes its time is no error.
  return [problemOf(object, condition, ready.status === 'False' ? 'error' : 'warning')];
};
const isBad = ({ type, status }: Condition): boolean => status === (type === 'Stalled' ? 'True' : 'False');

/** Worth a look, though messages flow. */
const noticed = (object: KubeObject, conditions: readonly Condition[]): Problem[] =>
  conditions
    .filter(
      ({ type, status }) => (type === 'DeadLetters' && status === 'True') || (type === 'Durable' && status === 'False'),
    )
    .map((condition) => problemOf(object, condition, 'warning'));

const problemOf = (object: KubeObject, condition: Condition, severity: Problem['severity']): Problem => {
  const { type, status, reason, message } = condition;
  const action = actionFor(object.kind, { type, status, reason });
  return { object: titleOf(object), severity, reason, message, ...(action === undefined ? {} : { action }) };
};

const actionFor = (kind: string, { type, status, reason }: Pick<Condition, 'type' | 'status' | 'reason'>) => {
  const entry = catalogue.find(
    (one) =>
      (one.kinds as readonly string[]).includes(kind) &&
      one.type === type &&
      one.status === status &&
      one.reason === reason,
  );
  return entry && 'action' in entry ? entry.action : undefined;
};

const rowOf = (object: KubeObject, now: number): IntegrationRow => {
  const status = (object['status'] ?? {}) as IntegrationStatus;
  const ready = statusConditions(status).find(({ type }) => type === 'Ready');
  return {
    namespace: object.metadata.namespace ?? '',
    name: object.metadata.name,
    ready: ready?.status ?? 'Unknown',
    state: ready?.reason ?? 'NotObserved',
    pods: `${status.readyReplicas ?? 0}/${status.replicas ?? 0}`,
    pending: status.lag?.pending ?? 0,
    failed: status.deadLetters?.count ?? 0,
    lastMessage: status.lastMessageTime === undefined ? '' : ago(now - Date.parse(status.lastMessageTime)),
  };
};

/** As kubectl shows ages. */
export const ago = (milliseconds: number): string => {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
};
