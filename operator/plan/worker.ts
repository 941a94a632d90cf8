import type { EffectiveIntegration, EffectiveTenant } from '../api/effective.ts';
import type { KubeObject } from '../reconcile/ports.ts';
import type { Settings } from '../settings.ts';
import { child, componentLabel, type Home, integrationLabel, workerCredentialsName, workerName } from './children.ts';
import { Deployments, ServiceAccounts } from './kinds.ts';
import { natsSources } from './nats-config.ts';
import { fileMode, podSpec, podTemplateLabels, rollout, runtimeFolder } from './pods.ts';
import type { Reference } from './references.ts';

export interface WorkerPlan {
  readonly home: Home & { readonly integration: { readonly name: string; readonly uid: string } };
  readonly spec: Pick<EffectiveIntegration, 'podSettings'>;
  readonly tenant: EffectiveTenant;
  readonly settings: Settings;
  readonly nats: { readonly tls: boolean };
  /** Name of the ConfigMap with the flow. */
  readonly flow: string;
  readonly references: readonly Reference[];
  readonly claims: readonly string[];
}

/** Without `replicas`: those are the scaler's (see operator/plan/scaling.ts). */
export const planWorker = (plan: WorkerPlan): { deployment: KubeObject; serviceAccount: KubeObject } => {
  const { home, spec, tenant, settings } = plan;
  const name = workerName(home.integration.name);
  const { labels, annotations, ...podSettings } = spec.podSettings;
  return {
    serviceAccount: child(
      ServiceAccounts,
      home,
      name,
      { automountServiceAccountToken: false },
      { component: 'worker' },
    ),
    deployment: child(
      Deployments,
      home,
      name,
      {
        spec: {
          ...rollout,
          selector: { matchLabels: workerSelector(home.integration.name) },
          template: {
            metadata: {
              labels: podTemplateLabels(home, 'worker', labels),
              ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
            },
            spec: podSpec({
              component: 'worker',
              serviceAccount: name,
              settings,
              tenant,
              podSettings,
              env: {
                KANAVA_TENANT: home.tenant,
                KANAVA_NAMESPACE: home.namespace,
                KANAVA_INTEGRATION: home.integration.name,
              },
              ports: [],
              volumes: [flowVolume(plan, workerCredentialsName(home.integration.name))],
              mounts: [flowMount],
              claims: plan.claims,
            }),
          },
        },
      },
      { component: 'worker' },
    ),
  };
};

export const workerSelector = (integration: string) => ({
  [integrationLabel]: integration,
  [componentLabel]: 'worker',
});

/** One volume for everything: each costs 300 ms of a start from zero. */
export const flowVolume = (plan: FlowFiles, credentials: string) => ({
  name: 'kanava',
  projected: { defaultMode: fileMode, sources: volumeSources(plan, credentials) },
});
export const flowMount = { name: 'kanava', mountPath: runtimeFolder } as const;
type FlowFiles = Pick<WorkerPlan, 'flow' | 'nats' | 'references'>;

const volumeSources = ({ flow, nats, references }: FlowFiles, credentials: string): Record<string, unknown>[] => [
  { configMap: { name: flow, items: [{ key: 'flow.json', path: 'flow.json' }] } },
  ...natsSources(credentials, nats.tls, 'nats/'),
  ...Map.groupBy(references, ({ kind, name }) => `${kind}/${name}`)
    .values()
    .map((group) => ({
      [group[0]?.kind === 'Secret' ? 'secret' : 'configMap']: {
        name: group[0]?.name,
        items: group.map(({ key, path }) => ({ key, path })),
      },
    })),
];
