import type { Applied, Routes } from '../../runtime/flow.ts';
import type { Role } from '../../runtime/nats/names.ts';
import type { PausedRecord } from '../../runtime/nats/paused.ts';
import type { ScheduleEntry } from '../../runtime/nats/ticks.ts';

/*
 * What the reconcilers need of the world, declared by them as their consumer. `operator/kube` and `operator/broker` implement it.
 * Objects are untyped JSON: a typed model drops the fields that it does not know.
 */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly [field: string]: unknown;
}
export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly unknown[];
  readonly managedFields?: readonly {
    readonly manager?: string;
    readonly subresource?: string;
    readonly fieldsV1?: unknown;
  }[];
}
export interface ResourceKind {
  /** `v1`, `apps/v1`, `kanava.dev/v1alpha1`. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

export interface Cluster {
  /** From the cache where the kind is watched (CRs, children by label), else a read of the server. Frozen; `undefined` when absent. */
  get(kind: ResourceKind, name: string, namespace?: string): Promise<KubeObject | undefined>;
  /** From the cache of a watched kind only: `undefined` may also mean that it lost the label by which it is watched. */
  cached(kind: ResourceKind, name: string, namespace?: string): KubeObject | undefined;
  /** From the cache of a watched kind only. Without labels the same list as long as nothing in it has changed. */
  list(
    kind: ResourceKind,
    options?: { namespace?: string; labels?: Readonly<Record<string, string>> },
  ): readonly KubeObject[];
  /** How many of a watched kind the cache has. */
  count(kind: ResourceKind): number;
  /** From the server, of a kind that is not watched. */
  read(
    kind: ResourceKind,
    options: { namespace: string; labels: Readonly<Record<string, string>> },
  ): Promise<KubeObject[]>;
  /** Sets annotations of exactly this object; one that is gone or has them already is left. */
  annotate(kind: ResourceKind, object: KubeObject, annotations: Readonly<Record<string, string>>): Promise<void>;
  /** Server-side apply, forced. Returns the object as stored. Throws ApiError. */
  apply(object: KubeObject, options: ApplyOptions): Promise<KubeObject>;
  delete(
    kind: ResourceKind,
    name: string,
    namespace?: string,
    options?: { uid?: string },
  ): Promise<'deleted' | 'absent'>;
  /** Adds or removes our finalizer by a patch with a resourceVersion precondition. */
  setFinalizer(object: KubeObject, kind: ResourceKind, finalizer: string, present: boolean): Promise<KubeObject>;
  /** Aggregated and rate limited; never throws. */
  event(about: KubeObject, event: { type: 'Normal' | 'Warning'; reason: string; message: string }): void;
}
export interface ApplyOptions {
  readonly manager: string;
  /** With `scale`, `object` is the scaled one (`apps/v1` Deployment) with `spec.replicas` only; the Scale is made from it. */
  readonly subresource?: 'status' | 'scale';
  readonly dryRun?: boolean;
}

/**
 * `status` is the HTTP status (409, 422 ...), `reason` and `message` come from the server's Status. Never holds a secret value.
 * Status 0: no answer, with the reason `Unreachable`, `Timeout` or `NotLeader` (nothing was sent: another operator may lead by now).
 */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly reason: string;
  constructor(status: number, reason: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.status = status;
    this.reason = reason;
  }
}

/* ---- NATS ---------------------------------------------------------------------------------------------------------------- */

/** All limits of a tenant's account, always written out (absent would mean zero). Sizes in bytes. */
export interface AccountLimits {
  readonly connections: number;
  readonly storage: number;
  readonly memory: number;
  readonly streams: number;
  readonly maxPayload: number;
}
/** Seeds of a tenant's account: kept in one Secret of the operator's namespace, made before the first push. */
export interface AccountKeys {
  readonly account: string;
  readonly accountSeed: string;
  readonly signing: Readonly<Record<Role, string>>;
}
export interface AccountState {
  readonly id: string;
  readonly serversAcked: number;
  readonly serversTotal: number;
  /** The claims looked up on every server equal the ones that we made (a push that is stored may still be invalid). */
  readonly inSync: boolean;
  readonly message?: string;
}

export interface StreamSpec {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly retention: 'limits' | 'workqueue';
  readonly discard: 'old' | 'new';
  readonly storage: 'file' | 'memory';
  readonly replicas: number;
  readonly maxBytes: number;
  readonly maxAgeMs?: number;
  readonly duplicateWindowMs?: number;
  readonly maxConsumers?: number;
  readonly maxMsgsPerSubject?: number;
  readonly allowDirect?: boolean;
  readonly allowMsgTtl?: boolean;
  readonly allowSchedules?: boolean;
  /** Publishes that are stored together; absent: as it is. */
  readonly allowBatches?: boolean;
  readonly metadata: Readonly<Record<string, string>>;
  readonly consumers: readonly ConsumerSpec[];
}
export interface ConsumerSpec {
  readonly name: string;
  readonly filters: readonly string[];
  readonly ackWaitMs: number;
  readonly maxAckPending: number;
  /** Where a new consumer begins; `after` a stream sequence, or with everything if the stream does not reach that far (any more). */
  readonly deliver: 'all' | 'new' | { readonly after: number };
  /** Default: the stream's. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** One worker reads at a time; it is taken for dead when it has not pulled for so long. */
  readonly exclusive?: { readonly ownerTimeoutMs: number };
}
export interface StreamState {
  readonly name: string;
  readonly messages: number;
  readonly bytes: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly lastTime?: string;
  readonly consumers: readonly ConsumerState[];
}
export interface ConsumerState {
  readonly name: string;
  readonly pending: number;
  readonly ackPending: number;
  /** Stream sequence of what was delivered last. */
  readonly delivered: number;
  /** When that was. */
  readonly lastTime?: string;
}
export interface ServerFacts {
  readonly version: string;
  readonly maxPayload: number;
  /** The server syncs every write: accepted survives a power cut. `undefined` when it does not say. */
  readonly syncAlways: boolean | undefined;
}

/** What waits in one stream. Times are milliseconds of a clock that never goes backwards. */
export interface StreamLag {
  /** Public key of the account. */
  readonly account: string;
  readonly stream: string;
  /** Of a work queue: waiting and in work together. */
  readonly messages: number;
  readonly bytes: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly lastTime: string | undefined;
  /** As of the last look at consumers, which may be older than the rest. */
  readonly consumers: readonly ConsumerLag[];
  readonly consumersAt: number | undefined;
}
export interface ConsumerLag {
  readonly name: string;
  readonly pending: number;
  /** Delivered and not done: in work, or waiting for the next attempt. */
  readonly ackPending: number;
  /** Deliveries so far, repeated ones too. */
  readonly delivered: number;
}
export interface LagReport {
  readonly changed: readonly StreamLag[];
  /** As last seen. */
  readonly gone: readonly StreamLag[];
}
export interface Lags {
  /** As last seen; `undefined` for a stream that no server has, or before the first look. */
  lag(account: string, stream: string): StreamLag | undefined;
  /** When all streams were last looked at; what is long ago is not known any more. */
  lookedAt(): number | undefined;
  /** Looks at the consumers of an account now. Fails with a BrokerError while NATS is away. */
  refresh(account: string): Promise<void>;
}

export interface Broker {
  /** Keys for a new account; pure key generation, nothing is sent. */
  newAccountKeys(): AccountKeys;
  /**
   * Pushes the account's claims if they differ from what the servers hold, then looks up and compares. A suspended one is closed; with
   * `drained: false` one that is still open is left so, for pods that have work.
   */
  ensureAccount(
    tenant: string,
    keys: AccountKeys,
    limits: AccountLimits,
    options: { suspended: boolean; drained?: boolean },
  ): Promise<AccountState>;
  /**
   * Ends the routes and schedules of an Integration; with `messages` its logins (of `lifetimeMs` at most), streams, consumers and state go, too. Works in an account that is
   * closed, and has nothing to do without one. Throws BrokerError.
   */
  releaseIntegration(
    tenant: string,
    keys: AccountKeys,
    integration: { readonly name: string; readonly uid: string },
    options: { messages: boolean; lifetimeMs: number },
  ): Promise<void>;
  /** Streams first, then a tombstone acked by all servers, then the delete. Bounded; throws with the reason when it cannot. */
  deleteAccount(tenant: string, keys: AccountKeys, options: { purgeStreams: boolean }): Promise<void>;
  /** A user of one role, valid for `lifetimeMs`; that of an Integration ends with it. `expiresAt` is Unix milliseconds. */
  credentials(
    keys: AccountKeys,
    role: 'worker' | 'intake' | 'gateway' | 'replay',
    integration: { readonly name: string; readonly uid: string } | undefined,
    lifetimeMs: number,
  ): Promise<{
    creds: string;
    expiresAt: number;
  }>;
  /** Operations inside one tenant's account. Connections are pooled and supervised. */
  tenant(keys: AccountKeys): TenantBroker;
  facts(): Promise<ServerFacts>;
}
export interface TenantBroker {
  /**
   * Reads, compares, creates or updates; never deletes and re-creates. Throws BrokerError with what must be done. One that is said to be
   * new is made without looking first; if it is there, nothing is lost by that. With `mayStand`, one that was right for this very spec half a
   * minute ago, and that the meter still sees, is not looked at; what is told of its consumers is as old as that.
   */
  ensureStream(spec: StreamSpec, options?: { isNew?: boolean; mayStand?: boolean }): Promise<StreamState>;
  /** The consumer's position is gone with it. */
  deleteConsumer(stream: string, name: string): Promise<'deleted' | 'absent'>;
  /** The schedules of an Integration are these and no others; what a removed one made is removed with it. */
  ensureSchedules(integration: string, schedules: readonly ScheduleEntry[]): Promise<void>;
  /** With the consumers, pages to the end. */
  streams(): Promise<StreamState[]>;
  /** Metadata of the last stored message of a stream, from its headers; for dead letters. */
  lastDeadLetter(integration: string): Promise<{ reason: string; time: string } | undefined>;
  /** What a worker says that has stopped taking messages because configuration or credentials are wrong. */
  paused(integration: string): Promise<PausedRecord | undefined>;
  /** Integrations whose answer was asked for since that sequence of the gateway's bucket. */
  calledSince(sequence: number): Promise<string[]>;
  /** Their revision. Those that are said to be new are written without looking first. */
  putRoutes(routes: Routes, options?: { isNew?: boolean }): Promise<number>;
  deleteRoutes(integration: string): Promise<void>;
  /** Removes the routes of Integrations that are not among those that are served, which are asked for again before each; tells whose. */
  sweepRoutes(served: () => ReadonlySet<string>): Promise<string[]>;
  applied(integration: string): Promise<Applied | undefined>;
  /**
   * Removes large bodies that neither a message that waits nor a dead letter refers to, and the stream when it is retired and was empty for an
   * hour; tells which.
   */
  sweepBodies(
    integration: string,
    options: { readonly retentionMs: number; readonly retired: boolean; readonly now: number },
  ): Promise<string[]>;
}
/** `code` is stable: Unreachable, Denied, Insufficient, Immutable, NotJetStream, Invalid. */
export class BrokerError extends Error {
  override readonly name = 'BrokerError';
  readonly code: string;
  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}
