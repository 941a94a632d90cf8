import { catalog } from '../../runtime/catalog.ts';
import type { Placement } from '../../runtime/connector.ts';
import { type Flow, pluginOf } from '../../runtime/flow.ts';
import type { ConditionReason } from '../api/conditions.ts';
import { type Connection, systemOf } from '../api/connection.ts';
import { type EffectiveIntegration, type EffectiveTenant, effectiveIntegration } from '../api/effective.ts';
import type { Integration, IntegrationSpec } from '../api/integration.ts';
import type { Parsed } from '../api/parse.ts';
import { referencesOfIntegration } from '../api/references.ts';
import { type Verdict, verdict } from './conditions.ts';
import { isAddressDenied, type NamespaceLabels } from './egress.ts';
import { type ConnectionSettings, flowHash, flowTooLarge, type Identity, planFlow } from './flow.ts';
import { claimsOf, type KeysOf, missingReference, type Reference, referencesOf, type Side } from './references.ts';

/*
 * Whether an Integration can be put in place: a chain of checks in order, the first that finds something says what, where, and what to
 * do. What passes all is resolved, and becomes the accepted state that everything is planned from.
 */
export interface Candidate {
  readonly identity: Identity;
  readonly parsed: Parsed<Integration>;
  readonly tenant: EffectiveTenant;
  /** Its place among the tenant's Integrations by age, from 1. */
  readonly position: number;
  /** `undefined` when there is none of the name. */
  readonly connection: (name: string) => Parsed<Connection> | undefined;
  readonly keysOf: KeysOf;
  readonly closedRanges: readonly string[];
  readonly namespaces: readonly NamespaceLabels[];
}

/** Everything that a plan needs of an Integration, complete and checked. */
export interface Resolved {
  readonly spec: EffectiveIntegration;
  readonly source: { readonly spec: IntegrationSpec; readonly connections: ConnectionSettings };
  readonly flow: Flow;
  readonly hash: string;
  /** Files that each side mounts. */
  readonly references: Readonly<Record<Side, readonly Reference[]>>;
  /** PersistentVolumeClaims that each side mounts. */
  readonly claims: Readonly<Record<Side, readonly string[]>>;
}
export interface Assessment {
  readonly accepted: Verdict<'Accepted'>;
  readonly connections: Verdict<'ConnectionsReady'>;
  readonly resolved?: Resolved;
}

const notChecked = verdict('ConnectionsReady', 'Unknown', 'NotChecked', 'the spec is not accepted yet');
const rejected = (
  reason: ConditionReason<'Accepted'>,
  message: string,
  connections: Verdict<'ConnectionsReady'> = notChecked,
): Assessment => ({
  accepted: verdict('Accepted', 'False', reason, message),
  connections,
});

export const noTenant = (namespace: string): Assessment =>
  rejected(
    'NoTenant',
    `namespace ${namespace} belongs to no Tenant; create the Integration in the namespace of a Tenant`,
  );

export const assess = (candidate: Candidate): Assessment => {
  const { parsed } = candidate;
  if (!parsed.ok) {
    const { reason, path, message } = parsed.finding;
    return rejected(reason, path ? `${path}: ${message}` : message);
  }
  const spec = effectiveIntegration(parsed.value.spec);
  for (const check of tenantChecks) {
    const finding = check(spec, candidate);
    if (finding) return rejected(finding.reason, finding.message);
  }
  const settings = resolveConnections(parsed.value.spec, candidate);
  if ('reason' in settings) return { accepted: acceptedVerdict, connections: settings };
  const denied = deniedAddress(settings.connections, candidate);
  if (denied) return rejected('EgressDenied', denied);

  const resolved = resolve(candidate, { spec: parsed.value.spec, connections: settings.connections });
  const tooLarge = flowTooLarge(resolved.flow);
  if (tooLarge) return rejected('FlowTooLarge', tooLarge);
  const missing = missingReference(Object.values(resolved.references).flat(), candidate.keysOf);
  if (missing) {
    const reason = missing.kind === 'Secret' ? 'SecretMissing' : 'ConfigMapMissing';
    return { accepted: acceptedVerdict, connections: verdict('ConnectionsReady', 'False', reason, missing.message) };
  }
  return { accepted: acceptedVerdict, connections: verdict('ConnectionsReady', 'True', 'Ready'), resolved };
};
const acceptedVerdict = verdict('Accepted', 'True', 'Accepted');

/** Also for what was accepted earlier: the tenant's ceilings are always those of now. */
export const resolve = (
  {
    identity,
    tenant,
    closedRanges,
    namespaces,
  }: Pick<Candidate, 'identity' | 'tenant' | 'closedRanges' | 'namespaces'>,
  source: Resolved['source'],
): Resolved => {
  const spec = effectiveIntegration(source.spec);
  const flow = planFlow(identity, spec, source.connections, {
    network: tenant.network,
    surroundings: { closedRanges, namespaces },
  });
  return {
    spec,
    source,
    flow,
    hash: flowHash(flow),
    references: referencesBySide(source),
    claims: claimsOf(source.spec, source.connections, placementsOf(source.spec)),
  };
};

/** Where a source of the spec runs. */
const placementsOf = (spec: IntegrationSpec) => {
  const { sources } = effectiveIntegration(spec);
  return (index: number): Placement => {
    const item = sources[index];
    return item === undefined ? 'broker' : pluginOf(item, catalog.sources).definition.placement;
  };
};
/** Who needs what it refers to. */
export const referencesBySide = ({ spec, connections }: Resolved['source']): ReturnType<typeof referencesOf> =>
  referencesOf(spec, connections, placementsOf(spec));

/* ---- The tenant's limits -------------------------------------------------------------------------------------------------- */

type TenantCheck = (
  spec: EffectiveIntegration,
  candidate: Candidate,
) => { reason: ConditionReason<'Accepted'>; message: string } | undefined;

const withinQuota: TenantCheck = (_spec, { position, tenant }) =>
  position > tenant.quota.integrations
    ? {
        reason: 'QuotaExceeded',
        message: `the tenant may have ${tenant.quota.integrations} Integrations (quota.integrations) and has older ones; delete one, or ask the platform team for more`,
      }
    : undefined;

const allowedConnectors: TenantCheck = (spec, { tenant }) => {
  const { allow } = tenant.connectors;
  if (allow.length === 0) return undefined;
  const ofSteps = (steps: EffectiveIntegration['steps'], path: string) =>
    steps.flatMap((item, index) => {
      const { connectors = [] } = pluginOf(item, catalog.steps).definition;
      return connectors.map((kind) => ({ path: `${path}[${index}]`, kind }));
    });
  const used = [
    ...spec.sources.map((item, index) => ({
      path: `spec.sources[${index}]`,
      kind: pluginOf(item, catalog.sources).kind,
    })),
    ...spec.sinks.map((item, index) => ({ path: `spec.sinks[${index}]`, kind: pluginOf(item, catalog.sinks).kind })),
    ...ofSteps(spec.steps, 'spec.steps'),
    ...spec.flows.flatMap(({ steps }, index) => ofSteps(steps, `spec.flows[${index}].steps`)),
  ];
  const denied = used.find(({ kind }) => !allow.includes(kind));
  return (
    denied && {
      reason: 'ConnectorNotAllowed',
      message: `${denied.path}: the tenant does not allow the connector ${denied.kind} (allowed: ${allow.join(', ')}); use one of these, or ask the platform team`,
    }
  );
};

const allowedPodSettings: TenantCheck = ({ podSettings }, { tenant }) => {
  const { workload } = tenant;
  const problem =
    podSettings.priorityClassName && !workload.priorityClassNames.includes(podSettings.priorityClassName)
      ? `priorityClassName: ${podSettings.priorityClassName} is not among the tenant's (${workload.priorityClassNames.join(', ') || 'none'})`
      : podSettings.tolerations.some((asked) => !workload.tolerations.some((allowed) => sameToleration(allowed, asked)))
        ? "tolerations: one is not among the tenant's workload.tolerations"
        : conflicting(podSettings.nodeSelector, workload.nodeSelector);
  return problem
    ? { reason: 'NotAllowed', message: `spec.podSettings.${problem}; remove it, or ask the platform team to allow it` }
    : undefined;
};
const conflicting = (asked: Readonly<Record<string, string>>, fixed: Readonly<Record<string, string>>) => {
  const key = Object.keys(asked).find((name) => fixed[name] !== undefined && fixed[name] !== asked[name]);
  return key && `nodeSelector: ${key} is ${fixed[key]} for all pods of the tenant`;
};
const tolerationFields = ['key', 'operator', 'value', 'effect', 'tolerationSeconds'] as const;
type Toleration = EffectiveTenant['workload']['tolerations'][number];
const sameToleration = (a: Toleration, b: Toleration) => tolerationFields.every((field) => a[field] === b[field]);

const tenantChecks: readonly TenantCheck[] = [withinQuota, allowedConnectors, allowedPodSettings];

/* ---- Connections ---------------------------------------------------------------------------------------------------------- */

const resolveConnections = (
  spec: IntegrationSpec,
  { connection }: Candidate,
): { connections: ConnectionSettings } | Verdict<'ConnectionsReady'> => {
  const connections: Record<string, Record<string, unknown>> = {};
  for (const { name, system, path } of referencesOfIntegration(spec).connections) {
    const found = connection(name);
    if (!found)
      return verdict(
        'ConnectionsReady',
        'False',
        'ConnectionMissing',
        `${path}: Connection ${name} is not in this namespace; create it or correct the name`,
      );
    if (!found.ok)
      return verdict(
        'ConnectionsReady',
        'False',
        'ConnectionNotReady',
        `${path}: Connection ${name} cannot be used (${found.finding.path}: ${found.finding.message}); repair it`,
      );
    const actual = systemOf(found.value.spec);
    if (actual.system !== system)
      return verdict(
        'ConnectionsReady',
        'False',
        'ConnectionOfOtherSystem',
        `${path}: Connection ${name} has ${actual.system} settings, ${system} is needed; name a Connection with ${system} settings`,
      );
    connections[name] = { [system]: actual.config };
  }
  return { connections };
};

const deniedAddress = (connections: ConnectionSettings, { tenant, closedRanges }: Candidate): string | undefined => {
  for (const [name, settings] of Object.entries(connections)) {
    const denied = deniedEndpoint(settings, tenant, closedRanges);
    if (denied) return `Connection ${name}: ${denied}`;
  }
  return undefined;
};

/** A literal address outside of the ceiling. Names are checked when they are resolved, by the runtime. */
export const deniedEndpoint = (
  settings: Readonly<Record<string, unknown>>,
  tenant: EffectiveTenant,
  closedRanges: readonly string[],
): string | undefined => {
  const { system, config } = systemOf(settings);
  const endpoints = catalog.connections.get(system)?.endpoints(config) ?? [];
  const denied = endpoints.find(({ host }) => isAddressDenied(host, tenant.network.egress.allow, closedRanges));
  return (
    denied &&
    `${denied.host} is outside of the tenant's egress ceiling; use an allowed address, or ask the platform team to add it to network.egress.allow`
  );
};
