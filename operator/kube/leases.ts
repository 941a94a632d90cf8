import type { LeaseRecord, Leases, StoredLease } from '../control/election.ts';
import type { KubeObject, ResourceKind } from '../reconcile/ports.ts';
import { ApiError } from '../reconcile/ports.ts';
import { apiPath } from './api-path.ts';
import type { Transport } from './transport.ts';

const kind: ResourceKind = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', plural: 'leases', namespaced: true };

interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

const stored = (answer: unknown): StoredLease => {
  const { metadata, spec = {} } = answer as KubeObject & { spec?: LeaseSpec };
  return {
    resourceVersion: metadata.resourceVersion ?? '',
    record: {
      holder: spec.holderIdentity ?? '',
      durationSeconds: spec.leaseDurationSeconds ?? 0,
      acquireTime: spec.acquireTime ?? '',
      renewTime: spec.renewTime ?? '',
      transitions: spec.leaseTransitions ?? 0,
    },
  };
};

/** The Lease object behind an election: whole writes with the version that was read, one attempt each (the election repeats). */
export const kubeLeases = (transport: Transport, namespace: string, name: string): Leases => {
  const lease = (record: LeaseRecord, resourceVersion?: string) => ({
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    metadata: { name, namespace, ...(resourceVersion && { resourceVersion }) },
    spec: {
      // A lease that was given back has no holder; the server refuses an empty one.
      ...(record.holder && { holderIdentity: record.holder }),
      leaseDurationSeconds: record.durationSeconds,
      acquireTime: record.acquireTime,
      renewTime: record.renewTime,
      leaseTransitions: record.transitions,
    } satisfies LeaseSpec,
  });
  const path = apiPath(kind, { namespace, name });
  return {
    read: async (signal) => {
      try {
        return stored(await transport.request({ method: 'GET', path, once: true, signal }));
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return undefined;
        throw error;
      }
    },
    create: async (record, signal) =>
      stored(
        await transport.request({
          method: 'POST',
          path: apiPath(kind, { namespace }),
          body: lease(record),
          once: true,
          signal,
        }),
      ),
    update: async (record, resourceVersion, signal) =>
      stored(
        await transport.request({ method: 'PUT', path, body: lease(record, resourceVersion), once: true, signal }),
      ),
  };
};
