import type { KubeObject } from '../reconcile/ports.ts';

interface DeploymentStatus {
  readonly observedGeneration?: number;
  readonly replicas?: number;
  readonly updatedReplicas?: number;
  readonly readyReplicas?: number;
  readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
}

/** How far a Deployment is: ready pods, and whether all are of the newest template. */
export const deploymentState = (
  deployment: KubeObject | undefined,
): { ready: number; rolledOut: boolean; failure?: string } => {
  if (!deployment) return { ready: 0, rolledOut: false };
  const status = (deployment['status'] ?? {}) as DeploymentStatus;
  const { replicas = 0, updatedReplicas = 0, readyReplicas = 0 } = status;
  const current = (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0);
  const failure = status.conditions?.find(({ type, status: state }) => type === 'ReplicaFailure' && state === 'True');
  return {
    ready: readyReplicas,
    rolledOut: current && updatedReplicas >= replicas,
    ...(failure?.message ? { failure: failure.message } : {}),
  };
};
