import type { EffectiveTenant } from '../api/effective.ts';
import type { KubeObject } from '../reconcile/ports.ts';
import type { Settings } from '../settings.ts';
import {
  child,
  componentLabel,
  gatewayCredentialsName,
  gatewayName,
  gatewaySecretsName,
  type Home,
} from './children.ts';
import { Deployments, Secrets, ServiceAccounts, Services } from './kinds.ts';
import { natsSources } from './nats-config.ts';
import { fileMode, podSpec, podTemplateLabels, rollout, runtimeFolder } from './pods.ts';
import type { Reference } from './references.ts';

export const gatewayPort = 8080;
/** On the pod's loopback: `kubectl port-forward deployment/gateway 4222` leads to NATS. */
const relayPort = 4222;
const servicePort = 80;

/**
 * The pod that listens for a tenant. Its secrets are one composed Secret, whole volumes of which the kubelet refreshes in place: an
 * Integration comes and goes without a restart of the others' listener.
 */
export const planGateway = (
  home: Home,
  tenant: EffectiveTenant,
  settings: Settings,
  nats: { tls: boolean },
): { deployment: KubeObject; replicas: number; others: KubeObject[] } => {
  const selector = { [componentLabel]: 'gateway' };
  const deployment = child(
    Deployments,
    home,
    gatewayName,
    {
      spec: {
        ...rollout,
        selector: { matchLabels: selector },
        template: {
          metadata: { labels: podTemplateLabels(home, 'gateway') },
          spec: podSpec({
            component: 'gateway',
            serviceAccount: gatewayName,
            settings,
            tenant,
            env: {
              KANAVA_TENANT: home.tenant,
              KANAVA_NAMESPACE: home.namespace,
              KANAVA_PORT: String(gatewayPort),
              KANAVA_RELAY_PORT: String(relayPort),
            },
            ports: [{ name: 'http', containerPort: gatewayPort }],
            volumes: [
              {
                name: 'nats',
                projected: { defaultMode: fileMode, sources: natsSources(gatewayCredentialsName, nats.tls) },
              },
              { name: 'secrets', secret: { secretName: gatewaySecretsName, defaultMode: fileMode } },
            ],
            mounts: [
              { name: 'nats', mountPath: `${runtimeFolder}/nats` },
              { name: 'secrets', mountPath: `${runtimeFolder}/secrets` },
            ],
          }),
        },
      },
    },
    { component: 'gateway' },
  );
  return {
    deployment,
    replicas: tenant.suspend ? 0 : tenant.gateway.replicas,
    others: [
      child(ServiceAccounts, home, gatewayName, { automountServiceAccountToken: false }, { component: 'gateway' }),
      child(
        Services,
        home,
        gatewayName,
        {
          spec: {
            selector,
            ports: [{ name: 'http', protocol: 'TCP', port: servicePort, targetPort: gatewayPort }],
          },
        },
        { component: 'gateway' },
      ),
    ],
  };
};

/** `value` gives the base64 text of a key; keys that are missing are left out, the Integration that needs them says so. */
export const planGatewaySecrets = (
  home: Home,
  references: readonly Reference[],
  value: (reference: Reference) => string | undefined,
): KubeObject =>
  child(
    Secrets,
    home,
    gatewaySecretsName,
    {
      type: 'Opaque',
      data: Object.fromEntries(
        references.flatMap((reference) => {
          const found = reference.kind === 'Secret' ? value(reference) : undefined;
          return found === undefined ? [] : [[composedKey(reference), found]];
        }),
      ),
    },
    { component: 'gateway' },
  );

/** `<secret>..<key>`: the file that the gateway reads below /etc/kanava/secrets. */
export const composedKey = (reference: Reference): string => `${reference.name}..${reference.key}`;
