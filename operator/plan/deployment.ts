import type { KubeObject } from '../reconcile/ports.ts';

interface DeploymentStatus {
  readonly observedGeneration?: number;
  readonly replicas?: number;
  readonly updatedReplicas?: number;
  readonly readyReplicas?: number;
  readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
}

/**
 * Whether pods of it run, or may still be made. A controller that has not looked yet at the number which the Deployment has now makes pods of
 * an earlier one.
 */
export const mayHavePods = (deployment: KubeObject): boolean => {
  const { replicas: wanted = 1 } = (deployment['spec'] ?? {}) as { replicas?: number };
  const status = deployment['status'] as DeploymentStatus | undefined;
  if (wanted > 0) return true;
  const seen = status?.observedGeneration;
  return (status?.replicas ?? 0) > 0 || (seen !== undefined && seen < (deployment.metadata.generation ?? 0));
};

/** `unseen`: the Deployment was changed, by scaling too, and its controller has not looked at it since. */
export type Rollout = 'done' | 'running' | 'unseen';

/** How far a Deployment is: ready pods, and whether all are of the newest template. */
export const deploymentState = (
  deployment: KubeObject | undefined,
): { ready: number; rollout: Rollout; failure?: string } => {
  if (!deployment) return { ready: 0, rollout: 'unseen' };
  const status = (deployment['status'] ?? {}) as DeploymentStatus;
  const { replicas = 0, updatedReplicas = 0, readyReplicas = 0 } = status;
  const current = (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0);
  const failure = status.conditions?.find(({ type, status: state }) => type === 'ReplicaFailure' && state === 'True');
  return {
    ready: readyReplicas,
    rollout: !current ? 'unseen' : updatedReplicas >= replicas ? 'done' : 'running',
    ...(failure?.message ? { failure: failure.message } : {}),
  };
};
