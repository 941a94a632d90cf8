import { isSameJson } from '../plan/canonical.ts';
import { fieldManager, scalerManager, statusManager } from '../plan/children.ts';
import { isUpToDate, sealed } from '../plan/drift.ts';
import { Deployments, kindOf } from '../plan/kinds.ts';
import { isScaled, sharesReplicas, withReplicas } from '../plan/scaling.ts';
import { ApiError, type Cluster, type KubeObject } from './ports.ts';

/** Brings a child to what the plan says; writes nothing when it is so already. */
export const applyChild = async (cluster: Cluster, desired: KubeObject): Promise<KubeObject> => {
  const child = sealed(desired);
  // One that is not watched (its label is gone) gets it back by being applied.
  const live = cluster.cached(kindOf(child), child.metadata.name, child.metadata.namespace);
  return live && isUpToDate(child, live) ? live : cluster.apply(child, { manager: fieldManager });
};

export const deleteChild = async (cluster: Cluster, child: KubeObject): Promise<void> => {
  const { name, namespace, uid } = child.metadata;
  await cluster.delete(kindOf(child), name, namespace, uid === undefined ? {} : { uid });
};

/** The Deployment without its number of pods, which has a writer of its own (operator/plan/scaling.ts). */
export const applyDeployment = async (
  cluster: Cluster,
  desired: KubeObject,
  { isNew = false } = {},
): Promise<KubeObject> => {
  const planned = sealed(desired);
  const { name, namespace } = planned.metadata;
  // One that only lost its label must keep its pods: whether it is there has to be known.
  const live = isNew ? undefined : await cluster.get(Deployments, name, namespace);
  const isCurrent = live !== undefined && isUpToDate(planned, live) && !sharesReplicas(live);
  return isCurrent ? live : cluster.apply(withReplicas(planned, live), { manager: fieldManager });
};

export const scaleTo = async (cluster: Cluster, live: KubeObject, replicas: number): Promise<void> => {
  if (isScaled(live, replicas)) return;
  const { apiVersion, kind, metadata } = live;
  await cluster.apply(
    {
      apiVersion,
      kind,
      metadata: { name: metadata.name, ...(metadata.namespace ? { namespace: metadata.namespace } : {}) },
      spec: { replicas },
    },
    { manager: scalerManager, subresource: 'scale' },
  );
};

export interface Rehearsal {
  /** Why the API server would refuse the Deployment, which a user's pod settings can cause. */
  readonly refusal?: string;
  /** There is none of its name yet. */
  readonly isNew?: boolean;
}

/** What the API server would say to the Deployment; asked only when it would change. */
export const rehearse = async (cluster: Cluster, desired: KubeObject): Promise<Rehearsal> => {
  const planned = sealed(desired);
  // The number of pods does not matter to a dry run.
  const live = cluster.cached(Deployments, planned.metadata.name, planned.metadata.namespace);
  if (isUpToDate(planned, live)) return {};
  try {
    const answer = await cluster.apply(withReplicas(planned, live), { manager: fieldManager, dryRun: true });
    // Only what is stored has a version.
    return { isNew: !answer.metadata.resourceVersion };
  } catch (error) {
    return { refusal: refusalIn(error) };
  }
};

/** Why the API server does not want an object, which somebody can mend; any other failure is thrown again. */
export const refusalIn = (error: unknown): string => {
  if (error instanceof ApiError && error.status === 422) return error.message;
  throw error;
};

/** Writes the whole status, if it differs; the uid keeps it off a new object of the same name. */
export const applyStatus = async (cluster: Cluster, object: KubeObject, status: unknown): Promise<void> => {
  if (isSameJson(status, object['status'])) return;
  const { name, namespace, uid } = object.metadata;
  await cluster.apply(
    {
      apiVersion: object.apiVersion,
      kind: object.kind,
      metadata: { name, ...(namespace ? { namespace } : {}), ...(uid ? { uid } : {}) },
      status,
    },
    { manager: statusManager, subresource: 'status' },
  );
};
