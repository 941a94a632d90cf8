import type { Delivery } from '../../runtime/flow.ts';
import { milliseconds, quantityValue } from '../../runtime/schema.ts';
import { integrationDefaults, tenantDefaults } from './defaults.ts';
import type { IntegrationSpec } from './integration.ts';
import { remembered, rememberedWith } from './remembered.ts';
import type { TenantSpec } from './tenant.ts';

/** A quantity that the schema has accepted, as a number. */
const amount = (quantity: string | number): number => {
  const value = quantityValue(quantity);
  if (value === undefined) throw new Error(`"${quantity}" is no quantity; only parsed objects have effective values`);
  return value;
};
const ms = (duration: string): number => {
  const value = milliseconds(duration);
  if (value === undefined) throw new Error(`"${duration}" is no duration; only parsed objects have effective values`);
  return value;
};

/** The spec with every default written out; sizes in bytes, times in milliseconds, delivery as the runtime takes it. */
export const effectiveIntegration = remembered((spec: IntegrationSpec) => {
  const absent = integrationDefaults;
  const { delivery = {}, inbox = {}, deadLetter = {}, scaling = {}, podSettings = {} } = spec;
  const backoff = { ...absent.delivery.retry.backoff, ...delivery.retry?.backoff };
  const fullDelivery: Delivery = {
    ...absent.delivery,
    ...delivery,
    retry: { attempts: delivery.retry?.attempts ?? absent.delivery.retry.attempts, backoff },
  };
  return {
    description: spec.description ?? '',
    suspend: spec.suspend ?? absent.suspend,
    sources: spec.sources,
    steps: spec.steps ?? [],
    flows: spec.flows ?? [],
    sinks: spec.sinks ?? [],
    delivery: fullDelivery,
    inbox: {
      maxBytes: amount(inbox.maxBytes ?? absent.inbox.maxBytes),
      storage: inbox.storage ?? absent.inbox.storage,
      replicas: inbox.replicas ?? absent.inbox.replicas,
      /** Unless it is there, they are refused. */
      largeBodies: inbox.largeBodies && {
        largest: amount(inbox.largeBodies.largest ?? absent.inbox.largeBodies.largest),
        maxBytes: amount(inbox.largeBodies.maxBytes ?? absent.inbox.largeBodies.maxBytes),
      },
    },
    deadLetter: {
      retentionMs: ms(deadLetter.retention ?? absent.deadLetter.retention),
      maxBytes: amount(deadLetter.maxBytes ?? absent.deadLetter.maxBytes),
    },
    scaling: {
      mode: scaling.mode ?? absent.scaling.mode,
      /** Set in mode Manual only. */
      replicas: scaling.replicas,
      minReplicas: scaling.minReplicas ?? absent.scaling.minReplicas,
      maxReplicas: scaling.maxReplicas ?? absent.scaling.maxReplicas,
      lagPerReplica: scaling.lagPerReplica ?? absent.scaling.lagPerReplica,
      idleAfterMs: ms(scaling.idleAfter ?? absent.scaling.idleAfter),
    },
    podSettings: {
      resources: { requests: podSettings.resources?.requests ?? {}, limits: podSettings.resources?.limits ?? {} },
      nodeSelector: podSettings.nodeSelector ?? {},
      tolerations: podSettings.tolerations ?? [],
      priorityClassName: podSettings.priorityClassName ?? '',
      labels: podSettings.labels ?? {},
      annotations: podSettings.annotations ?? {},
    },
    deletionPolicy: spec.deletionPolicy ?? absent.deletionPolicy,
  };
});
export type EffectiveIntegration = ReturnType<typeof effectiveIntegration>;

/** The spec with every default written out; sizes in bytes. */
export const effectiveTenant = (name: string, spec: TenantSpec): EffectiveTenant =>
  tenants(spec, [name], () => tenantWithDefaults(name, spec));

const tenantWithDefaults = (name: string, spec: TenantSpec) => {
  const absent = tenantDefaults;
  const { quota = {}, messaging = {}, network = {}, workload = {} } = spec;
  return {
    displayName: spec.displayName ?? name,
    suspend: spec.suspend ?? absent.suspend,
    namespace: { name: spec.namespace.name, adopt: spec.namespace.adopt ?? absent.namespace.adopt },
    members: spec.members ?? [],
    quota: {
      integrations: quota.integrations ?? absent.quota.integrations,
      replicas: quota.replicas ?? absent.quota.replicas,
      /** Entries of a ResourceQuota, as written. */
      compute: quota.compute ?? {},
    },
    messaging: {
      storage: amount(messaging.storage ?? absent.messaging.storage),
      memory: amount(messaging.memory ?? absent.messaging.memory),
      streams: messaging.streams ?? absent.messaging.streams,
      connections: messaging.connections ?? absent.messaging.connections,
      maxPayload: amount(messaging.maxPayload ?? absent.messaging.maxPayload),
      replicas: messaging.replicas ?? absent.messaging.replicas,
      bus: {
        maxBytes: amount(messaging.bus?.maxBytes ?? absent.messaging.bus.maxBytes),
        retentionMs: ms(messaging.bus?.retention ?? absent.messaging.bus.retention),
      },
    },
    /** Nothing in `egress.allow`: public addresses only. */
    network: { egress: { allow: network.egress?.allow ?? [] }, ingressFrom: network.ingressFrom ?? [] },
    workload: {
      nodeSelector: workload.nodeSelector ?? {},
      tolerations: workload.tolerations ?? [],
      priorityClassNames: workload.priorityClassNames ?? [],
      runtimeClassName: workload.runtimeClassName ?? '',
      registries: workload.registries ?? [],
    },
    /** Nothing: every connector. */
    connectors: { allow: spec.connectors?.allow ?? [] },
    gateway: { replicas: spec.gateway?.replicas ?? absent.gateway.replicas },
    deletionPolicy: spec.deletionPolicy ?? absent.deletionPolicy,
  };
};
export type EffectiveTenant = ReturnType<typeof tenantWithDefaults>;

const tenants = rememberedWith<EffectiveTenant>();
