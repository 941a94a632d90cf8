import { canonicalJson } from '../plan/canonical.ts';
import { fieldManager, scalerManager, statusManager } from '../plan/children.ts';
import { isUpToDate, sealed } from '../plan/drift.ts';
import { Deployments, kindOf } from '../plan/kinds.ts';
import { isScaled, sharesReplicas, withReplicas } from '../plan/scaling.ts';
import { ApiError, type Cluster, type KubeObject } from './ports.ts';

/** Brings a child to what the plan says; writes nothing when it is so already. */
export const applyChild = async (cluster: Cluster, desired: KubeObject): Promise<KubeObject> => {
  const child = sealed(desired);
  const live = await cluster.get(kindOf(child), child.metadata.name, child.metadata.namespace);
  return live && isUpToDate(child, live) ? live : cluster.apply(child, { manager: fieldManager });
};

export const deleteChild = async (cluster: Cluster, child: KubeObject): Promise<void> => {
  const { name, namespace, uid } = child.metadata;
  await cluster.delete(kindOf(child), name, namespace, uid === undefined ? {} : { uid });
};

/** The Deployment without its number of pods, which has a writer of its own (operator/plan/scaling.ts). */
export const applyDeployment = async (cluster: Cluster, desired: KubeObject): Promise<KubeObject> => {
  const planned = sealed(desired);
  const { name, namespace } = planned.metadata;
  const live = await cluster.get(Deployments, name, namespace);
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

/** Why the API server would refuse the Deployment, which a user's pod settings can cause; asked only when it would change. */
export const refusalOf = async (cluster: Cluster, desired: KubeObject): Promise<string | undefined> => {
  const planned = sealed(desired);
  const live = await cluster.get(Deployments, planned.metadata.name, planned.metadata.namespace);
  if (isUpToDate(planned, live)) return undefined;
  try {
    await cluster.apply(withReplicas(planned, live), { manager: fieldManager, dryRun: true });
    return undefined;
  } catch (error) {
    if (error instanceof ApiError && error.status === 422) return error.message;
    throw error;
  }
};

/** Writes the whole status, if it differs; the uid keeps it off a new object of the same name. */
export const applyStatus = async (cluster: Cluster, object: KubeObject, status: unknown): Promise<void> => {
  if (canonicalJson(status) === canonicalJson(object['status'])) return;
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
