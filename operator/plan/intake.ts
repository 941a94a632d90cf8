import { catalog } from '../../runtime/catalog.ts';
import { pluginOf } from '../../runtime/flow.ts';
import type { EffectiveIntegration } from '../api/effective.ts';
import { intakeCredentialsName, intakeName } from './children.ts';
import { type IntegrationPod, type IntegrationPodPlan, planIntegrationPod } from './integration-pod.ts';

/** Whether sources of it have to be fetched from. */
export const fetches = ({ sources }: Pick<EffectiveIntegration, 'sources'>): boolean =>
  sources.some((item) => pluginOf(item, catalog.sources).definition.placement === 'intake');

/** The pod that fetches for an Integration: never two of them, so the old one ends before the new one starts. */
export const planIntake = (plan: IntegrationPodPlan & { readonly suspended: boolean }): IntegrationPod => {
  const { name } = plan.home.integration;
  return planIntegrationPod(plan, {
    component: 'intake',
    name: intakeName(name),
    credentials: intakeCredentialsName(name),
    deployment: { replicas: plan.suspended ? 0 : 1, revisionHistoryLimit: 1, strategy: { type: 'Recreate' } },
  });
};
