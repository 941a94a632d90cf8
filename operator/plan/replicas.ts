import type { EffectiveIntegration } from '../api/effective.ts';

/** How many workers an Integration should have now. Nothing pulls while it, or its tenant, is suspended. */
export const planReplicas = (
  spec: Pick<EffectiveIntegration, 'suspend' | 'scaling'>,
  tenant: { suspend: boolean },
): number => {
  if (spec.suspend || tenant.suspend) return 0;
  const { mode, replicas, minReplicas, maxReplicas } = spec.scaling;
  if (mode === 'Manual') return replicas ?? 1;
  return Math.max(1, Math.min(minReplicas, maxReplicas));
};
