import type { Kind } from './meta.ts';

/*
 * Every condition that Kanava writes and every reason it gives: types and reasons are API. A reason's meaning and what to do are here
 * once; docs are made from it, and plans may write no other (the types below).
 *
 * How they read together: `Ready` is the summary. `Reconciling` is there for a new generation only, never for scaling. `Stalled=True`
 * says that nothing goes on without a user, so that kstatus fails at once. Idle at zero and suspended are `Ready=True`; transient
 * trouble is `Ready=Unknown`; `Ready=False` comes with `Stalled=True`.
 */
export interface ReasonEntry {
  readonly kinds: readonly Kind['kind'][];
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly means: string;
  /** What a user can do; absent: nothing has to be done. */
  readonly action?: string;
}

const integration = ['Integration'] as const;
const connection = ['Connection'] as const;
const tenant = ['Tenant'] as const;
const all = ['Tenant', 'Connection', 'Integration'] as const;

// biome-ignore format: a table reads better with one row a line
export const catalogue = [
  /* ---- Ready: the summary; for an Integration its reason is the STATE column ---- */
  { kinds: integration, type: 'Ready', status: 'True', reason: 'Running', means: 'Workers are ready and pull messages.' },
  { kinds: integration, type: 'Ready', status: 'True', reason: 'Idle', means: 'Nothing to do: no worker runs, sources accept.' },
  { kinds: integration, type: 'Ready', status: 'True', reason: 'Waking', means: 'Messages came while it was idle: a worker is starting.' },
  { kinds: ['Tenant', 'Integration'], type: 'Ready', status: 'True', reason: 'Suspended', means: 'Suspended as asked; what is stored stays.', action: 'Set spec.suspend to false to go on.' },
  { kinds: ['Tenant', 'Connection'], type: 'Ready', status: 'True', reason: 'Ready', means: 'All of it is in place.' },
  { kinds: integration, type: 'Ready', status: 'Unknown', reason: 'Starting', means: 'A new generation is being put in place.' },
  { kinds: integration, type: 'Ready', status: 'Unknown', reason: 'WorkersNotReady', means: 'Fewer workers are ready than are needed.', action: 'Look at the pods when it lasts: kubectl describe pod -l kanava.dev/integration=<name>.' },
  { kinds: integration, type: 'Ready', status: 'Unknown', reason: 'GatewayNotReady', means: 'The gateway does not serve this generation yet.', action: 'Look at the gateway pods of the namespace when it lasts.' },
  { kinds: integration, type: 'Ready', status: 'Unknown', reason: 'IntakeNotReady', means: 'The pod that fetches for its sources is not ready.', action: 'Look at its log and at kubectl describe pod -l app.kubernetes.io/component=intake when it lasts: the volume may be missing.' },
  { kinds: ['Tenant', 'Integration'], type: 'Ready', status: 'Unknown', reason: 'MessagingUnreachable', means: 'NATS does not answer; it is tried again.', action: 'Platform team: look at the NATS servers.' },
  { kinds: ['Tenant', 'Integration'], type: 'Ready', status: 'Unknown', reason: 'Waiting', means: 'Something that it needs is being made; the message says what.' },
  { kinds: all, type: 'Ready', status: 'Unknown', reason: 'Error', means: 'The operator failed and tries again; the message says at what.', action: 'Look at the log of the operator when it lasts.' },
  { kinds: ['Tenant', 'Integration'], type: 'Ready', status: 'Unknown', reason: 'Deleting', means: 'The object is being deleted; the message says what is waited for.' },
  { kinds: all, type: 'Ready', status: 'False', reason: 'Stalled', means: 'A user must act; the message of Stalled says how.' },

  /* ---- Reconciling, Stalled: what kstatus looks at ---- */
  { kinds: ['Tenant', 'Integration'], type: 'Reconciling', status: 'True', reason: 'NewGeneration', means: 'The newest spec is being put in place.' },
  { kinds: ['Tenant', 'Integration'], type: 'Reconciling', status: 'True', reason: 'Deleting', means: 'The object is being deleted.' },
  { kinds: all, type: 'Reconciling', status: 'False', reason: 'UpToDate', means: 'The newest spec is in place.' },
  { kinds: all, type: 'Reconciling', status: 'False', reason: 'Stalled', means: 'It cannot go on without a user.' },
  { kinds: all, type: 'Stalled', status: 'False', reason: 'Progressing', means: 'Nobody has to do anything.' },
  { kinds: all, type: 'Stalled', status: 'True', reason: 'NotAccepted', means: 'The spec cannot be used; Accepted says why.', action: 'Correct the spec as the message says.' },
  { kinds: integration, type: 'Stalled', status: 'True', reason: 'ConnectionsNotReady', means: 'A Connection or a Secret is missing or of another kind.', action: 'Make it as the message says; it is taken up by itself.' },
  { kinds: ['Tenant', 'Integration'], type: 'Stalled', status: 'True', reason: 'CapacityExceeded', means: 'The limits of the tenant do not suffice.', action: 'Lower the sizes, or ask the platform team for more.' },
  { kinds: integration, type: 'Stalled', status: 'True', reason: 'Paused', means: 'Wrong configuration or credentials fail every message: nothing is tried but one now and then.', action: 'Repair the Secret, Connection or spec that the message names; it goes on by itself.' },
  { kinds: integration, type: 'Stalled', status: 'True', reason: 'DeadLettersFull', means: 'Dead letters have no room: failing messages wait in the inbox.', action: 'Replay or discard dead letters, or raise deadLetter.maxBytes.' },
  { kinds: integration, type: 'Stalled', status: 'True', reason: 'BusGap', means: 'The bus dropped events before this subscriber read them; it goes on behind them.', action: 'Find out why it was behind, or raise messaging.bus of the Tenant; then acknowledge as the message says.' },
  { kinds: integration, type: 'Stalled', status: 'True', reason: 'StreamImmutable', means: 'A stream exists with settings that cannot change.', action: 'Set the field back as the message says, or use another name.' },
  { kinds: tenant, type: 'Stalled', status: 'True', reason: 'NamespaceTaken', means: "The namespace is not this tenant's.", action: 'Choose another namespace, or follow the message to adopt it.' },
  { kinds: connection, type: 'Stalled', status: 'True', reason: 'SecretsMissing', means: 'A Secret or ConfigMap that it names is missing.', action: 'Make it as the message says; it is taken up by itself.' },

  /* ---- Accepted: can the spec be used? ---- */
  { kinds: all, type: 'Accepted', status: 'True', reason: 'Accepted', means: 'The spec is understood and is what runs.' },
  { kinds: all, type: 'Accepted', status: 'False', reason: 'Invalid', means: 'A field has no valid value; the message names field and form.', action: 'Correct the field.' },
  { kinds: integration, type: 'Accepted', status: 'False', reason: 'InvalidExpression', means: 'An expression cannot be read.', action: 'Correct the expression at the field named.' },
  { kinds: integration, type: 'Accepted', status: 'False', reason: 'InvalidSchema', means: 'A JSON Schema of a step cannot be used.', action: 'Correct the schema at the place named.' },
  { kinds: integration, type: 'Accepted', status: 'False', reason: 'DuplicateName', means: 'Two sources, steps or sinks have one name.', action: 'Rename one: names stand in subjects, metrics and dead letters.' },
  { kinds: integration, type: 'Accepted', status: 'False', reason: 'DuplicatePath', means: 'Two sources listen on one path.', action: 'Give each source its own path.' },
  { kinds: integration, type: 'Accepted', status: 'False', reason: 'UnknownFlow', means: 'A step names a flow that is not under spec.flows.', action: 'Add the flow or correct the name.' },
  { kinds: integration, type: 'Accepted', status: 'False', reason: 'FlowCycle', means: 'Flows refer to each other in a circle.', action: 'Break the circle named in the message.' },
  { kinds: all, type: 'Accepted', status: 'False', reason: 'AmbiguousKey', means: 'A key was read by YAML as true or false.', action: 'Quote the key: "on":, "yes":, "y":.' },
  { kinds: integration, type: 'Accepted', status: 'False', reason: 'FlowTooLarge', means: 'The resolved flow is above 900 KiB.', action: 'Move parts into another Integration, joined by the bus.' },
  { kinds: ['Connection', 'Integration'], type: 'Accepted', status: 'False', reason: 'NoTenant', means: 'The namespace belongs to no Tenant.', action: 'Make it in the namespace of a Tenant.' },
  { kinds: integration, type: 'Accepted', status: 'False', reason: 'ConnectorNotAllowed', means: 'The Tenant does not allow this connector.', action: 'Use another, or ask the platform team to allow it.' },
  { kinds: integration, type: 'Accepted', status: 'False', reason: 'NotAllowed', means: 'A pod setting is outside of what the Tenant allows.', action: 'Remove it, or ask the platform team to allow it.' },
  { kinds: integration, type: 'Accepted', status: 'False', reason: 'QuotaExceeded', means: 'The tenant has as many Integrations as it may.', action: 'Delete one, or ask the platform team for more.' },
  { kinds: ['Connection', 'Integration'], type: 'Accepted', status: 'False', reason: 'EgressDenied', means: "The address is outside of the tenant's ceiling.", action: 'Use an allowed address, or ask the platform team to allow it.' },
  { kinds: tenant, type: 'Accepted', status: 'False', reason: 'NamespaceReserved', means: "The namespace is one of the platform's.", action: 'Make the Tenant with another namespace.' },

  /* ---- Integration ---- */
  { kinds: integration, type: 'ConnectionsReady', status: 'True', reason: 'Ready', means: 'Every Connection, Secret and ConfigMap named is there.' },
  { kinds: integration, type: 'ConnectionsReady', status: 'False', reason: 'ConnectionMissing', means: 'A Connection is not there.', action: 'Make the Connection or correct the name.' },
  { kinds: integration, type: 'ConnectionsReady', status: 'False', reason: 'ConnectionOfOtherSystem', means: 'A Connection has settings of another system.', action: 'Name a Connection of the system in the message.' },
  { kinds: integration, type: 'ConnectionsReady', status: 'False', reason: 'ConnectionNotReady', means: 'A Connection cannot be used; its own status says why.', action: 'Repair the Connection.' },
  { kinds: integration, type: 'ConnectionsReady', status: 'False', reason: 'SecretMissing', means: 'A Secret or its key is not there.', action: 'Make the Secret with this key; it is taken up by itself.' },
  { kinds: integration, type: 'ConnectionsReady', status: 'False', reason: 'ConfigMapMissing', means: 'A ConfigMap or its key is not there.', action: 'Make the ConfigMap with this key; it is taken up by itself.' },
  { kinds: integration, type: 'ConnectionsReady', status: 'Unknown', reason: 'NotChecked', means: 'Not looked at yet.' },
  { kinds: integration, type: 'Available', status: 'True', reason: 'Serving', means: 'Messages are accepted and worked on, maybe by the last accepted spec.' },
  { kinds: integration, type: 'Available', status: 'True', reason: 'Idle', means: 'Messages are accepted; a worker starts when one comes.' },
  { kinds: integration, type: 'Available', status: 'True', reason: 'Waking', means: 'Messages are accepted; the first worker is starting.' },
  { kinds: integration, type: 'Available', status: 'False', reason: 'Suspended', means: 'Messages are accepted and wait.' },
  { kinds: integration, type: 'Available', status: 'False', reason: 'NoWorkers', means: 'No worker is ready: messages are accepted and wait.', action: 'Look at the pods when it lasts.' },
  { kinds: integration, type: 'Available', status: 'False', reason: 'Paused', means: 'Workers are paused: messages are accepted and wait.', action: 'Repair what the message of Stalled names.' },
  { kinds: integration, type: 'Available', status: 'False', reason: 'GatewayNotReady', means: 'The gateway does not serve the sources yet.', action: 'Look at the gateway pods when it lasts.' },
  { kinds: integration, type: 'Available', status: 'False', reason: 'IntakeNotReady', means: 'The pod that fetches for its sources is not ready: nothing new is accepted.', action: 'Look at its log and at kubectl describe pod when it lasts.' },
  { kinds: integration, type: 'Available', status: 'False', reason: 'NotDeployed', means: 'There was no spec that could be used yet.' },
  { kinds: integration, type: 'Active', status: 'True', reason: 'WorkersRunning', means: 'At least one worker is wanted.' },
  { kinds: integration, type: 'Active', status: 'False', reason: 'ScaledToZero', means: 'No worker is wanted: nothing waits.' },
  { kinds: integration, type: 'Active', status: 'False', reason: 'Suspended', means: 'No worker is wanted: suspended.' },
  { kinds: integration, type: 'Active', status: 'False', reason: 'NotDeployed', means: 'There was no spec that could be used yet.' },
  { kinds: integration, type: 'DeadLetters', status: 'False', reason: 'None', means: 'No dead letters are kept.' },
  { kinds: integration, type: 'DeadLetters', status: 'True', reason: 'Present', means: 'Messages failed for good and are kept; the rest goes on.', action: 'Look at them, then replay or discard.' },
  { kinds: integration, type: 'DeadLetters', status: 'Unknown', reason: 'NotChecked', means: 'Not looked at yet.' },

  /* ---- Suspended, Messaging ---- */
  { kinds: ['Tenant', 'Integration'], type: 'Suspended', status: 'False', reason: 'NotSuspended', means: 'Not suspended.' },
  { kinds: ['Tenant', 'Integration'], type: 'Suspended', status: 'True', reason: 'Suspended', means: 'spec.suspend is true.' },
  { kinds: integration, type: 'Suspended', status: 'True', reason: 'TenantSuspended', means: 'The Tenant is suspended.', action: 'Ask the platform team.' },
  { kinds: ['Tenant', 'Integration'], type: 'MessagingReady', status: 'True', reason: 'Ready', means: 'Account, streams and credentials are in place.' },
  { kinds: ['Tenant', 'Integration'], type: 'MessagingReady', status: 'Unknown', reason: 'Unreachable', means: 'NATS does not answer; it is tried again.', action: 'Platform team: look at the NATS servers.' },
  { kinds: ['Tenant', 'Integration'], type: 'MessagingReady', status: 'Unknown', reason: 'Waiting', means: 'Being put in place.' },
  { kinds: ['Tenant', 'Integration'], type: 'MessagingReady', status: 'False', reason: 'CapacityExceeded', means: 'The account has no room for the streams.', action: 'Lower the sizes, or ask the platform team for more.' },
  { kinds: integration, type: 'MessagingReady', status: 'False', reason: 'StreamImmutable', means: 'A stream exists with settings that cannot change.', action: 'Set the field back, or use another name.' },
  { kinds: ['Tenant', 'Integration'], type: 'MessagingReady', status: 'False', reason: 'Refused', means: 'NATS refused what is needed; the message says what.', action: 'Platform team: look at the message.' },
  { kinds: tenant, type: 'MessagingReady', status: 'False', reason: 'AccountOutOfSync', means: 'Not every server holds the newest account.', action: 'Platform team: look at the NATS servers.' },

  /* ---- Tenant ---- */
  { kinds: tenant, type: 'NamespaceReady', status: 'True', reason: 'Ready', means: "The namespace is there and the tenant's." },
  { kinds: tenant, type: 'NamespaceReady', status: 'False', reason: 'NamespaceTaken', means: 'An older Tenant or somebody else has the namespace.', action: 'Use another namespace in a new Tenant.' },
  { kinds: tenant, type: 'NamespaceReady', status: 'False', reason: 'AdoptionNotAllowed', means: 'The namespace exists and was not given to this tenant.', action: 'Set namespace.adopt and annotate the namespace with kanava.dev/adopt: <tenant>.' },
  { kinds: tenant, type: 'NamespaceReady', status: 'False', reason: 'NamespaceReserved', means: "The namespace is one of the platform's.", action: 'Use another namespace in a new Tenant.' },
  { kinds: tenant, type: 'NamespaceReady', status: 'False', reason: 'Terminating', means: 'The namespace is being deleted.', action: 'Wait until it is gone; it is made again.' },
  { kinds: tenant, type: 'NamespaceReady', status: 'Unknown', reason: 'Waiting', means: 'Being put in place.' },
  { kinds: tenant, type: 'PoliciesReady', status: 'True', reason: 'Ready', means: 'Quotas, limits, network policies and roles are in place.' },
  { kinds: tenant, type: 'PoliciesReady', status: 'False', reason: 'Refused', means: 'The API server refused one; the message says which.', action: 'Correct the field named.' },
  { kinds: tenant, type: 'PoliciesReady', status: 'Unknown', reason: 'Waiting', means: 'Being put in place.' },
  { kinds: tenant, type: 'CapacityOk', status: 'True', reason: 'Enough', means: 'All streams fit into the limits.' },
  { kinds: tenant, type: 'CapacityOk', status: 'False', reason: 'Exceeded', means: 'The sizes of all streams are above messaging.storage.', action: 'Raise messaging.storage, or lower sizes of Integrations.' },
  { kinds: tenant, type: 'CapacityOk', status: 'Unknown', reason: 'NotChecked', means: 'Not looked at yet.' },
  { kinds: tenant, type: 'Durable', status: 'True', reason: 'SyncAlways', means: 'NATS syncs every write: what is accepted survives a power cut.' },
  { kinds: tenant, type: 'Durable', status: 'False', reason: 'Relaxed', means: 'NATS syncs now and then: a power cut can lose accepted messages.', action: 'Platform team: run NATS with sync_interval: always.' },
  { kinds: tenant, type: 'Durable', status: 'Unknown', reason: 'NotChecked', means: 'The servers do not say.' },

  /* ---- Connection ---- */
  { kinds: connection, type: 'SecretsResolved', status: 'True', reason: 'Resolved', means: 'Every Secret and ConfigMap that it names is there.' },
  { kinds: connection, type: 'SecretsResolved', status: 'False', reason: 'SecretMissing', means: 'A Secret or its key is not there.', action: 'Make the Secret with this key; it is taken up by itself.' },
  { kinds: connection, type: 'SecretsResolved', status: 'False', reason: 'ConfigMapMissing', means: 'A ConfigMap or its key is not there.', action: 'Make the ConfigMap with this key; it is taken up by itself.' },
  { kinds: connection, type: 'SecretsResolved', status: 'Unknown', reason: 'NotChecked', means: 'Not looked at yet.' },
] as const satisfies readonly ReasonEntry[];

type Entry = (typeof catalogue)[number];
export type ConditionType = Entry['type'];
export type ConditionReason<T extends ConditionType = ConditionType> = Extract<Entry, { type: T }>['reason'];

/** The condition types of a kind, in the order in which they are shown. */
export const conditionTypes = (kind: Kind['kind']): ConditionType[] => [
  ...new Set(catalogue.filter(({ kinds }) => (kinds as readonly string[]).includes(kind)).map(({ type }) => type)),
];
