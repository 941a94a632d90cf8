import type { KubeObject } from '../reconcile/ports.ts';
import { fieldManager, scalerManager } from './children.ts';

/*
 * Who owns `spec.replicas` of a Deployment. It is made with 0; then the scaler applies the scale subresource and owns the field. Our own
 * apply may leave `replicas` out only when managedFields shows the scaler as owner: earlier, leaving it out would reset it to 1.
 */
export const withReplicas = (deployment: KubeObject, live: KubeObject | undefined): KubeObject => {
  if (live && isScalers(live)) return deployment;
  return {
    ...deployment,
    spec: { ...(deployment['spec'] as Record<string, unknown>), replicas: live ? (replicasOf(live) ?? 0) : 0 },
  };
};

export const replicasOf = (deployment: KubeObject): number | undefined =>
  (deployment['spec'] as { replicas?: number } | undefined)?.replicas;

export const isScalers = (live: KubeObject): boolean => ownsReplicas(live, (manager) => manager === scalerManager);

export const isScaled = (live: KubeObject | undefined, replicas: number): boolean =>
  live !== undefined && replicasOf(live) === replicas && isScalers(live);

/** Whether our own manager still holds the field beside the scaler: one more apply without it lets go. */
export const sharesReplicas = (live: KubeObject): boolean =>
  isScalers(live) && ownsReplicas(live, (manager) => manager === fieldManager);

/** The object with the little of its managedFields that the above go by. */
export const withReplicasOwners = (deployment: KubeObject): KubeObject => {
  const { managedFields = [], ...metadata } = deployment.metadata;
  const owners = managedFields.filter(({ fieldsV1 }) => namesReplicas(fieldsV1));
  const reduced = owners.map(({ manager = '' }) => ({ manager, fieldsV1: { 'f:spec': { 'f:replicas': {} } } }));
  return { ...deployment, metadata: { ...metadata, managedFields: reduced } };
};

const ownsReplicas = (live: KubeObject, who: (manager: string) => boolean): boolean =>
  (live.metadata.managedFields ?? []).some(({ manager = '', fieldsV1 }) => who(manager) && namesReplicas(fieldsV1));

const namesReplicas = (fieldsV1: unknown): boolean => {
  const spec = (fieldsV1 as { 'f:spec'?: Record<string, unknown> } | undefined)?.['f:spec'];
  return spec !== undefined && 'f:replicas' in spec;
};
