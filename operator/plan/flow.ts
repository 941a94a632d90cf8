import type { Flow } from '../../runtime/flow.ts';
import type { EffectiveIntegration, EffectiveTenant } from '../api/effective.ts';
import { remembered } from '../api/remembered.ts';
import type { KubeObject } from '../reconcile/ports.ts';
import { canonicalJson, contentHash } from './canonical.ts';
import { child, flowName, type Home } from './children.ts';
import { planEgressRules, type Surroundings } from './egress.ts';
import { ConfigMaps } from './kinds.ts';

/** A ConfigMap holds at most 1 MiB with everything in it. */
const maxFlowBytes = 900 * 1024;

export interface Identity {
  readonly tenant: string;
  readonly namespace: string;
  readonly integration: string;
  readonly uid: string;
  readonly generation: number;
}
/** Settings of Connections by name, as a flow carries them: `{erp: {http: {...}}}`. */
export type ConnectionSettings = Flow['connections'];

/** What the runtime gets: everything written out, nothing secret in it. */
export const planFlow = (
  identity: Identity,
  spec: EffectiveIntegration,
  connections: ConnectionSettings,
  ceiling: { network: EffectiveTenant['network']; surroundings: Omit<Surroundings, 'namespace'> },
): Flow => ({
  version: 1,
  ...identity,
  sources: spec.sources,
  steps: spec.steps,
  flows: spec.flows,
  sinks: spec.sinks,
  connections,
  delivery: spec.delivery,
  ...(spec.inbox.largeBodies ? { largeBodies: { largest: spec.inbox.largeBodies.largest } } : {}),
  egress: planEgressRules(ceiling.network.egress.allow, {
    ...ceiling.surroundings,
    namespace: identity.namespace,
  }),
});

/** Of what a worker does: a new generation with the same content, such as other scaling, rolls no pods. */
export const flowHash: (flow: Flow) => string = remembered(({ generation: _generation, ...content }) =>
  contentHash(content),
);

/** A sentence when the flow is larger than an object may be. */
export const flowTooLarge = (flow: Flow): string | undefined => {
  // The order of the fields does not matter to their size.
  const bytes = Buffer.byteLength(JSON.stringify(flow));
  return bytes <= maxFlowBytes
    ? undefined
    : `the flow with its connections takes ${Math.ceil(bytes / 1024)} KiB, at most ${maxFlowBytes / 1024} KiB fit into a ConfigMap; shorten schemas and mappings, or divide the Integration in two over the bus`;
};

export const planFlowConfig = (home: Home, flow: Flow): KubeObject =>
  child(ConfigMaps, home, flowName(flow.integration, flowHash(flow)), {
    immutable: true,
    data: { 'flow.json': canonicalJson(flow) },
  });

/** Flows that nothing needs any more: neither the accepted one, nor one that a Deployment or ReplicaSet still names. */
export const unusedFlows = (
  flows: readonly KubeObject[],
  inUse: { accepted: string; workloads: readonly KubeObject[] },
): string[] => {
  const named = new Set([inUse.accepted, ...inUse.workloads.flatMap(configMapsOf)]);
  return flows.map((flow) => flow.metadata.name).filter((name) => !named.has(name));
};

const configMapsOf = (workload: KubeObject): string[] => {
  const spec = workload['spec'] as { template?: { spec?: { volumes?: ProjectedVolume[] } } } | undefined;
  return (spec?.template?.spec?.volumes ?? [])
    .flatMap((volume) => volume.projected?.sources ?? [])
    .flatMap((source) => source.configMap?.name ?? []);
};
interface ProjectedVolume {
  readonly projected?: { readonly sources?: readonly { readonly configMap?: { readonly name?: string } }[] };
}
