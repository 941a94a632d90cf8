import type { Condition } from '../api/fields.ts';
import { isTrue, statusConditions } from '../plan/conditions.ts';
import type { Cluster, KubeObject } from './ports.ts';

/** Events tell the turns that people wait for: it became ready, it got stuck. Everything else is in the conditions. */
export const announce = (cluster: Cluster, object: KubeObject, conditions: readonly Condition[]): void => {
  const before = statusConditions(object['status']);
  for (const { type, status, reason, message } of conditions) {
    if ((type !== 'Ready' && type !== 'Stalled') || status !== 'True' || isTrue(before, type)) continue;
    cluster.event(object, {
      type: type === 'Ready' ? 'Normal' : 'Warning',
      reason,
      message: message || `${object.kind} ${object.metadata.name} is ready`,
    });
  }
};
