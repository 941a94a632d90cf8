import type { KubeObject, ResourceKind } from '../reconcile/ports.ts';

/* Names and labels of everything that the operator makes. Selectors use two of these labels, which therefore never change. */
export const tenantLabel = 'kanava.dev/tenant';
export const integrationLabel = 'kanava.dev/integration';
export const componentLabel = 'app.kubernetes.io/component';
export const managedByLabel = 'app.kubernetes.io/managed-by';
export const managedBy = { [managedByLabel]: 'kanava' } as const;
export const adoptAnnotation = 'kanava.dev/adopt';
/** On an Integration: the event up to which a user knows that some were missed (`status.bus.gap.through`). */
export const busGapSeenAnnotation = 'kanava.dev/bus-gap-seen';
export const messagingFinalizer = 'kanava.dev/messaging';

export const fieldManager = 'kanava-operator';
export const statusManager = 'kanava-operator-status';
export const scalerManager = 'kanava-scaler';

export type Component = 'worker' | 'gateway' | 'intake';

export const workerName = (integration: string) => `worker-${integration}`;
/** Fetches for sources with a session of their own. */
export const intakeName = (integration: string) => `intake-${integration}`;
export const gatewayName = 'gateway';
export const flowName = (integration: string, hash: string) => `flow-${integration}-${hash}`;
export const acceptedName = (integration: string) => `accepted-${integration}`;
export const workerCredentialsName = (integration: string) => `nats-worker-${integration}`;
export const intakeCredentialsName = (integration: string) => `nats-intake-${integration}`;
/** For people: `kanava dlq` and `kanava replay` find it. */
export const replayCredentialsName = (integration: string) => `nats-replay-${integration}`;
export const gatewayCredentialsName = 'nats-gateway';
export const gatewaySecretsName = 'gateway-secrets';
export const natsConfigName = 'nats';
export const tenantKeysName = (tenant: string) => `tenant-keys-${tenant}`;

/** Where children of one tenant, and perhaps of one Integration, belong. */
export interface Home {
  readonly tenant: string;
  readonly namespace: string;
  /** The Integration that owns them; without it they belong to the tenant and stay as long as its namespace. */
  readonly integration?: { readonly name: string; readonly uid: string };
}

export const childLabels = (home: Home, component?: Component): Record<string, string> => ({
  ...managedBy,
  [tenantLabel]: home.tenant,
  ...(home.integration ? { [integrationLabel]: home.integration.name } : {}),
  ...(component ? { [componentLabel]: component } : {}),
});

/** An object of the plan. Only fields that we own are in it. */
export const child = (
  kind: ResourceKind,
  home: Home,
  name: string,
  fields: Record<string, unknown>,
  options: { component?: Component; annotations?: Readonly<Record<string, string>> } = {},
): KubeObject => ({
  apiVersion: kind.apiVersion,
  kind: kind.kind,
  metadata: {
    name,
    namespace: home.namespace,
    labels: childLabels(home, options.component),
    ...(options.annotations ? { annotations: options.annotations } : {}),
    ...(home.integration ? { ownerReferences: [ownerReference(home.integration)] } : {}),
  },
  ...fields,
});

// Literal, not from operator/api: a stored reference must not change with the code's idea of the newest version.
const ownerReference = (integration: { name: string; uid: string }) => ({
  apiVersion: 'kanava.dev/v1alpha1',
  kind: 'Integration',
  name: integration.name,
  uid: integration.uid,
  controller: true,
});
