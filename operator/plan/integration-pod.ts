import type { EffectiveIntegration, EffectiveTenant } from '../api/effective.ts';
import type { KubeObject } from '../reconcile/ports.ts';
import type { Settings } from '../settings.ts';
import { child, componentLabel, type Home, integrationLabel } from './children.ts';
import { Deployments, ServiceAccounts } from './kinds.ts';
import { natsSources } from './nats-config.ts';
import { fileMode, podSpec, podTemplateLabels, runtimeFolder } from './pods.ts';
import type { Reference } from './references.ts';

/* A pod that runs a part of one Integration: with its flow, the login of its own, and the Secrets and claims that the flow names. */
export interface IntegrationPodPlan {
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
export interface IntegrationPod {
  readonly deployment: KubeObject;
  readonly serviceAccount: KubeObject;
}
interface Part {
  readonly component: 'worker' | 'intake';
  readonly name: string;
  /** Secret with its login. */
  readonly credentials: string;
  /** Of the Deployment, beside selector and template: how it rolls out. */
  readonly deployment: Readonly<Record<string, unknown>>;
}

export const planIntegrationPod = (
  plan: IntegrationPodPlan,
  { component, name, credentials, deployment }: Part,
): IntegrationPod => {
  const { home, spec, tenant, settings, claims } = plan;
  const { labels, annotations, ...podSettings } = spec.podSettings;
  const template = {
    metadata: {
      labels: podTemplateLabels(home, component, labels),
      ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
    },
    spec: podSpec({
      component,
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
      volumes: [flowVolume(plan, credentials)],
      mounts: [{ name: volumeName, mountPath: runtimeFolder }],
      claims,
    }),
  };
  const selector = { matchLabels: podSelector(home.integration.name, component) };
  return {
    serviceAccount: child(ServiceAccounts, home, name, { automountServiceAccountToken: false }, { component }),
    deployment: child(Deployments, home, name, { spec: { ...deployment, selector, template } }, { component }),
  };
};

export const podSelector = (integration: string, component: Part['component']) => ({
  [integrationLabel]: integration,
  [componentLabel]: component,
});

const volumeName = 'kanava';
/** One volume for everything: each costs 300 ms of a start from zero. */
const flowVolume = ({ flow, nats, references }: IntegrationPodPlan, credentials: string) => ({
  name: volumeName,
  projected: {
    defaultMode: fileMode,
    sources: [
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
    ],
  },
});
