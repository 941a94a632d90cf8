import { catalog } from '../../runtime/catalog.ts';
import { pluginOf } from '../../runtime/flow.ts';
import type { EffectiveIntegration } from '../api/effective.ts';
import type { KubeObject } from '../reconcile/ports.ts';
import { child, componentLabel, intakeCredentialsName, intakeName, integrationLabel } from './children.ts';
import { Deployments, ServiceAccounts } from './kinds.ts';
import { podSpec, podTemplateLabels } from './pods.ts';
import { flowMount, flowVolume, type WorkerPlan } from './worker.ts';

/** Whether sources of it have to be fetched from. */
export const fetches = ({ sources }: Pick<EffectiveIntegration, 'sources'>): boolean =>
  sources.some((item) => pluginOf(item, catalog.sources).definition.placement === 'intake');

/** The pod that fetches for an Integration: never two of them, so the old one ends before the new one starts. */
export const planIntake = (
  plan: WorkerPlan & { readonly suspended: boolean },
): { deployment: KubeObject; serviceAccount: KubeObject } => {
  const { home, spec, tenant, settings, suspended } = plan;
  const integration = home.integration.name;
  const name = intakeName(integration);
  const { labels, annotations, ...podSettings } = spec.podSettings;
  return {
    serviceAccount: child(
      ServiceAccounts,
      home,
      name,
      { automountServiceAccountToken: false },
      { component: 'intake' },
    ),
    deployment: child(
      Deployments,
      home,
      name,
      {
        spec: {
          replicas: suspended ? 0 : 1,
          revisionHistoryLimit: 1,
          strategy: { type: 'Recreate' },
          selector: { matchLabels: { [integrationLabel]: integration, [componentLabel]: 'intake' } },
          template: {
            metadata: {
              labels: podTemplateLabels(home, 'intake', labels),
              ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
            },
            spec: podSpec({
              component: 'intake',
              serviceAccount: name,
              settings,
              tenant,
              podSettings,
              env: {
                KANAVA_TENANT: home.tenant,
                KANAVA_NAMESPACE: home.namespace,
                KANAVA_INTEGRATION: integration,
              },
              ports: [],
              volumes: [flowVolume(plan, intakeCredentialsName(integration))],
              mounts: [flowMount],
              claims: plan.claims,
            }),
          },
        },
      },
      { component: 'intake' },
    ),
  };
};
