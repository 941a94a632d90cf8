import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ControlMetrics } from './metrics.ts';
import { statusOf } from './watch-event.ts';

/** The part of a coordination.k8s.io/v1 Lease that an election reads and writes. */
export interface LeaseRecord {
  readonly holder: string;
  readonly durationSeconds: number;
  readonly acquireTime: string;
  readonly renewTime: string;
  readonly transitions: number;
}
export interface StoredLease {
  readonly record: LeaseRecord;
  readonly resourceVersion: string;
}
/** Never retries by itself; `signal` bounds each call. Errors carry the HTTP status as `status`. */
export interface Leases {
  read(signal: AbortSignal): Promise<StoredLease | undefined>;
  create(record: LeaseRecord, signal: AbortSignal): Promise<StoredLease>;
  /** With the precondition that nobody wrote since `resourceVersion`. */
  update(record: LeaseRecord, resourceVersion: string, signal: AbortSignal): Promise<StoredLease>;
}
export interface ElectionOptions {
  readonly name: string;
  readonly leases: Leases;
  /** Unique to this process: pod name and a random part. */
  readonly identity: string;
  readonly onElected: () => void;
  /** Leading is over and cannot come back in this process: exit. */
  readonly onLost: () => void;
  readonly metrics: ControlMetrics;
  readonly log: Logger;
  readonly timings?: Partial<ElectionTimings>;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}
interface ElectionTimings {
  readonly leaseMs: number;
  readonly renewDeadlineMs: number;
  readonly retryMs: number;
}
/** client-go's. */
const defaults: ElectionTimings = { leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2000 };

export interface Election {
  /** To be asked before each write. It looks at the clock, so it is right even when this process stood still. */
  isLeader(): boolean;
  /** Ends the election and gives the lease back, so that the next leader need not wait. */
  stop(): Promise<void>;
}

/**
 * Leader election by client-go's rules. Times of other machines are never compared: a lease has run out when its record has not changed
 * for its duration on our own monotonic clock. We stop leading earlier, `renewDeadlineMs` after the last renewal was *sent*.
 */
export const startElection = (options: ElectionOptions): Election => {
  const { name, leases, identity, metrics, log, now = () => performance.now() } = options;
  const timings = { ...defaults, ...options.timings };
  const { leaseMs, renewDeadlineMs, retryMs } = timings;
  const stopping = new AbortController();
  let seen: { readonly lease: StoredLease; readonly at: number } | undefined;
  let renewedAt: number | undefined;
  let isLost = false;

  const isLeader = () => !isLost && renewedAt !== undefined && now() - renewedAt < renewDeadlineMs;
  const observe = (lease: StoredLease) => {
    if (seen?.lease.resourceVersion !== lease.resourceVersion) seen = { lease, at: now() };
  };
  const microTime = () => new Date().toISOString().replace('Z', '000Z');
  const recordAfter = (old: LeaseRecord | undefined): LeaseRecord => ({
    holder: identity,
    durationSeconds: Math.ceil(leaseMs / 1000),
    renewTime: microTime(),
    acquireTime: old?.holder === identity ? old.acquireTime : microTime(),
    transitions: (old?.transitions ?? 0) + (old && old.holder !== identity ? 1 : 0),
  });
  const isHeldByAnother = ({ record }: StoredLease, at: number) =>
    record.holder !== '' && record.holder !== identity && now() - at < record.durationSeconds * 1000;

  /** Takes or renews the lease; false when another has it. */
  const tryOnce = async (): Promise<boolean> => {
    // Not ended by `stop`: a renewal that the server took and we did not hear of could not be given back.
    const left = renewedAt !== undefined && isLeader() ? renewDeadlineMs - (now() - renewedAt) : renewDeadlineMs;
    const signal = AbortSignal.timeout(Math.ceil(Math.min(renewDeadlineMs / 2, left)));
    const write = async (lease: StoredLease | undefined) => {
      const sentAt = now();
      const record = recordAfter(lease?.record);
      observe(lease ? await leases.update(record, lease.resourceVersion, signal) : await leases.create(record, signal));
      renewedAt = sentAt;
      return true;
    };
    // While leading nobody else writes, so the last version is still right and one call is enough.
    if (isLeader() && seen?.lease.record.holder === identity) {
      try {
        return await write(seen.lease);
      } catch (error) {
        if (statusOf(error) !== 409) throw error;
      }
    }
    const lease = await leases.read(signal);
    if (!lease) return write(undefined);
    observe(lease);
    return seen && isHeldByAnother(lease, seen.at) ? false : write(lease);
  };
  const attempt = async (): Promise<boolean> => {
    try {
      return await tryOnce();
    } catch (error) {
      // A conflict is a lost race, the normal fate of all candidates but one.
      if (!stopping.signal.aborted && statusOf(error) !== 409)
        log.warn({ err: error, lease: name, identity }, 'the lease could not be taken or renewed, trying again');
      return false;
    }
  };
  const pause = (ms: number) => sleep(ms, undefined, { signal: stopping.signal }).catch(() => {});

  const run = async () => {
    // Jittered, so that candidates which started together do not stay together.
    while (!stopping.signal.aborted && !(await attempt())) await pause(retryMs * (1 + 1.2 * Math.random()));
    if (stopping.signal.aborted) return;
    metrics.leader.set({ name }, 1);
    log.info({ lease: name, identity }, 'leading');
    options.onElected();
    // From one attempt to the next, so that one which got no answer leaves time for another.
    for (let due = retryMs; !stopping.signal.aborted && isLeader(); ) {
      await pause(due);
      const tried = now();
      if (isLeader()) await attempt();
      due = Math.max(0, retryMs - (now() - tried));
      if (seen && seen.lease.record.holder !== identity) break;
    }
    if (stopping.signal.aborted) return;
    isLost = true;
    metrics.leader.set({ name }, 0);
    log.error({ lease: name, identity, holder: seen?.lease.record.holder }, 'not leading any more');
    options.onLost();
  };
  metrics.leader.set({ name }, 0);
  const ended = run();

  return {
    isLeader,
    stop: async () => {
      isLost = true;
      stopping.abort();
      await ended;
      metrics.leader.set({ name }, 0);
      const lease = seen?.lease;
      if (lease?.record.holder !== identity) return;
      const given = { ...lease.record, holder: '', durationSeconds: 1, renewTime: microTime() };
      await leases.update(given, lease.resourceVersion, AbortSignal.timeout(retryMs)).then(
        () => log.info({ lease: name }, 'lease given back'),
        (error: unknown) => log.warn({ err: error, lease: name }, 'the lease could not be given back, it will run out'),
      );
    },
  };
};
