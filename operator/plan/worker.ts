import { workerCredentialsName, workerName } from './children.ts';
import { type IntegrationPod, type IntegrationPodPlan, planIntegrationPod, podSelector } from './integration-pod.ts';
import { rollout } from './pods.ts';

/** Without `replicas`: those are the scaler's (see operator/plan/scaling.ts). */
export const planWorker = (plan: IntegrationPodPlan): IntegrationPod => {
  const { name } = plan.home.integration;
  return planIntegrationPod(plan, {
    component: 'worker',
    name: workerName(name),
    credentials: workerCredentialsName(name),
    deployment: rollout,
  });
};

export const workerSelector = (integration: string) => podSelector(integration, 'worker');
