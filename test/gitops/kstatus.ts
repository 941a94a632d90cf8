import type { Condition } from '../../operator/api/fields.ts';
import { statusConditions } from '../../operator/plan/conditions.ts';
import type { KubeObject } from '../../operator/reconcile/ports.ts';

/*
 * What kstatus (cli-utils, used by `helm --wait`, Flux and `kpt`) makes of an object of a kind that it does not know, rule for rule and in
 * its order: deletion, generation, the first of Reconciling and Stalled that is True, Ready, and otherwise Current.
 */
export type KStatus = 'Terminating' | 'InProgress' | 'Failed' | 'Current';
export interface KResult {
  readonly status: KStatus;
  readonly message: string;
}

export const kstatusOf = ({ kind, metadata, status }: KubeObject): KResult => {
  if (metadata.deletionTimestamp) return { status: 'Terminating', message: 'Resource scheduled for deletion' };
  const { generation } = metadata;
  const observed = (status as { observedGeneration?: number } | undefined)?.observedGeneration;
  if (generation !== undefined && observed !== undefined && observed !== generation) {
    const message = `${kind} generation is ${generation}, but latest observed generation is ${observed}`;
    return { status: 'InProgress', message };
  }
  const conditions = statusConditions(status);
  for (const condition of conditions) {
    if (isTrue(condition, 'Reconciling')) return { status: 'InProgress', message: condition.message };
    if (isTrue(condition, 'Stalled')) return { status: 'Failed', message: condition.message };
  }
  const ready = conditions.find(({ type }) => type === 'Ready');
  if (ready && ready.status !== 'True') return { status: 'InProgress', message: ready.message };
  return { status: 'Current', message: ready ? 'Resource is Ready' : 'Resource is current' };
};

const isTrue = ({ type, status }: Condition, wanted: string): boolean => type === wanted && status === 'True';
