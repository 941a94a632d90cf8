import { type EffectiveTenant, effectiveTenant } from '../operator/api/effective.ts';
import { parseIntegration, parseTenant } from '../operator/api/parse.ts';
import type { Resolved } from '../operator/plan/acceptance.ts';
import { planAccepted } from '../operator/plan/accepted.ts';
import { planBuckets } from '../operator/plan/buckets.ts';
import {
  flowName,
  gatewayCredentialsName,
  gatewaySecretsName,
  intakeCredentialsName,
  replayCredentialsName,
  workerCredentialsName,
} from '../operator/plan/children.ts';
import { planFlowConfig } from '../operator/plan/flow.ts';
import { planGateway } from '../operator/plan/gateway.ts';
import { fetches, planIntake } from '../operator/plan/intake.ts';
import { planNamespace } from '../operator/plan/namespace.ts';
import { planNatsConfig } from '../operator/plan/nats-config.ts';
import { planNetworkPolicies } from '../operator/plan/network-policies.ts';
import { planQuota } from '../operator/plan/quota.ts';
import { planMemberBindings, planOwnRoleBinding } from '../operator/plan/role-bindings.ts';
import { planEndpoints } from '../operator/plan/routes.ts';
import { bindingsOf, planSharedStreams } from '../operator/plan/shared-streams.ts';
import { planStreams } from '../operator/plan/streams.ts';
import { planWorker } from '../operator/plan/worker.ts';
import type { KubeObject, StreamSpec } from '../operator/reconcile/ports.ts';
import type { Settings } from '../operator/settings.ts';
import { type FileWorld, fileWorld } from './file-world.ts';
import { assessInFiles, saidBy } from './kind-checks.ts';
import { type FileObject, isOurs } from './objects.ts';

/*
 * What the operator would apply for the objects in files, made by its own plans. Left out is what only it can know: replicas (the
 * scaler's), and Secrets, whose names are listed.
 */
export interface Rendered {
  readonly objects: readonly KubeObject[];
  /** What it would make in the NATS account of the tenant. */
  readonly streams: readonly { readonly tenant: string; readonly streams: readonly StreamSpec[] }[];
  /** What Integrations hear of the tenant's shared streams. */
  readonly readings: readonly Reading[];
  /** Where Integrations accept messages, by `namespace/name`. */
  readonly endpoints: Readonly<Record<string, readonly string[]>>;
  /** `namespace/name` of Secrets with credentials. */
  readonly secrets: readonly string[];
  /** Why an object is not there. */
  readonly refused: readonly string[];
}
export interface Reading {
  /** `namespace/name` of the Integration. */
  readonly name: string;
  readonly types: readonly string[];
  readonly schedules: readonly { readonly source: string; readonly cron: string; readonly timeZone: string }[];
}
export interface RenderOptions {
  readonly namespace: string;
  /** Name of the Tenant, with defaults, where the files hold none. */
  readonly tenant?: string;
  readonly settings: Settings;
  readonly natsCa?: string;
}

interface Holder {
  readonly name: string;
  readonly spec: EffectiveTenant;
}

export const render = (files: readonly FileObject[], options: RenderOptions): Rendered => {
  const world = fileWorld(files, options.namespace);
  const ours = files.filter(isOurs);
  const tenants = ours
    .filter(({ object }) => object.kind === 'Tenant')
    .map((item) => renderTenant(item, world, options));
  const integrations = ours
    .filter(({ object }) => object.kind === 'Integration')
    .map((item) => renderIntegration(item, world, options));
  const gateways = gatewaysOf(
    integrations.flatMap(({ listener }) => listener ?? []),
    options,
  );
  const all = [...tenants, ...gateways, ...integrations];
  return {
    objects: all.flatMap(({ objects }) => objects),
    streams: all.flatMap(({ streams }) => streams ?? []),
    readings: integrations.flatMap(({ reading }) => reading ?? []),
    endpoints: Object.fromEntries(integrations.flatMap(({ endpoints }) => endpoints ?? [])),
    secrets: all.flatMap(({ secrets }) => secrets ?? []),
    refused: all.flatMap(({ refused }) => refused ?? []),
  };
};

interface Part {
  readonly objects: readonly KubeObject[];
  readonly streams?: Rendered['streams'];
  readonly reading?: Reading;
  readonly endpoints?: readonly (readonly [string, readonly string[]])[];
  readonly secrets?: readonly string[];
  readonly refused?: readonly string[];
  /** The Tenant whose gateway serves it. */
  readonly listener?: Holder;
}
const refusedPart = (item: FileObject, why: string): Part => ({
  objects: [],
  refused: [`${item.file}:${item.placeOf('').line}: ${item.title}: ${why}`],
});

const renderTenant = (item: FileObject, world: FileWorld, { settings, natsCa }: RenderOptions): Part => {
  const parsed = parseTenant(item.object);
  if (!parsed.ok) return refusedPart(item, `${parsed.finding.path}: ${parsed.finding.message}`);
  const { name } = parsed.value.metadata;
  const spec = effectiveTenant(name, parsed.value.spec);
  const namespace = spec.namespace.name;
  const holder = world.holderOf(namespace)?.name;
  if (holder !== name) return refusedPart(item, `the namespace ${namespace} is of Tenant ${holder ?? '(none)'}`);
  const home = { tenant: name, namespace };
  return {
    objects: [
      planNamespace(name, namespace),
      planOwnRoleBinding(home, settings),
      ...planNetworkPolicies(home, spec, settings.config),
      ...planQuota(home, spec),
      ...planMemberBindings(home, spec.members),
      planNatsConfig(home, { url: settings.config.nats.url, ca: natsCa }),
    ],
    streams: [{ tenant: name, streams: tenantStreams(parsed.value.metadata.uid ?? '', spec) }],
  };
};

const tenantStreams = (uid: string, { messaging }: EffectiveTenant): StreamSpec[] => {
  const { bus, tick } = planSharedStreams({ uid, messaging });
  return [...planBuckets({ uid, replicas: messaging.replicas }), bus, tick];
};

const renderIntegration = (item: FileObject, world: FileWorld, options: RenderOptions): Part => {
  const parsed = parseIntegration(item.object);
  if (!parsed.ok) return refusedPart(item, `${parsed.finding.path}: ${parsed.finding.message}`);
  const namespace = world.namespaceOf(item);
  const holder = world.holderOf(namespace) ?? assumed(options.tenant, namespace);
  if (!holder)
    return refusedPart(
      item,
      `no Tenant of namespace ${namespace || '(none)'} is in the files: add its file, or --tenant`,
    );
  const { settings } = options;
  const { assessment } = assessInFiles(item, parsed, holder, { world, ...settings.config.network });
  const { resolved } = assessment;
  if (!resolved)
    return refusedPart(
      item,
      saidBy(assessment, false)
        .map(({ path, message }) => (path ? `${path}: ${message}` : message))
        .join('; '),
    );
  return integrationPart(parsed.value.metadata, namespace, holder, resolved, options);
};

const assumed = (name: string | undefined, namespace: string): Holder | undefined =>
  name === undefined || namespace === ''
    ? undefined
    : { name, spec: effectiveTenant(name, { namespace: { name: namespace } }) };

const integrationPart = (
  { name, uid = '', generation = 0 }: { name: string; uid?: string | undefined; generation?: number | undefined },
  namespace: string,
  holder: Holder,
  resolved: Resolved,
  { settings, natsCa }: RenderOptions,
): Part => {
  const home = { tenant: holder.name, namespace, integration: { name, uid } };
  const { spec, flow, hash, source, references, claims } = resolved;
  const common = {
    home,
    spec,
    tenant: holder.spec,
    settings,
    nats: { tls: natsCa !== undefined },
    flow: flowName(name, hash),
  };
  const worker = planWorker({ ...common, references: references.worker, claims: claims.worker });
  const suspended = spec.suspend || holder.spec.suspend;
  const intake = fetches(spec)
    ? [planIntake({ ...common, references: references.intake, claims: claims.intake, suspended })]
    : [];
  const endpoints = planEndpoints({ namespace, integration: name }, spec);
  const accepted = planAccepted(home, { uid, generation, hash, ...source });
  return {
    objects: [
      planFlowConfig(home, flow),
      accepted,
      ...[worker, ...intake].flatMap(({ serviceAccount, deployment }) => [serviceAccount, deployment]),
    ],
    streams: [{ tenant: holder.name, streams: planStreams({ name, uid }, spec) }],
    reading: readingOf(`${namespace}/${name}`, spec),
    endpoints: [[`${namespace}/${name}`, endpoints]],
    secrets: [
      workerCredentialsName(name),
      ...intake.map(() => intakeCredentialsName(name)),
      replayCredentialsName(name),
    ].map((secret) => `${namespace}/${secret}`),
    ...(endpoints.length > 0 ? { listener: holder } : {}),
  };
};

const readingOf = (name: string, spec: Resolved['spec']): Reading => {
  const bindings = bindingsOf(spec);
  return {
    name,
    types: [...new Set(bindings.flatMap(({ binding }) => (binding.stream === 'bus' ? binding.types : [])))],
    schedules: bindings.flatMap(({ name: source, binding }) =>
      binding.stream === 'tick' ? [{ source, cron: binding.schedule.cron, timeZone: binding.schedule.timeZone }] : [],
    ),
  };
};

const gatewaysOf = (listeners: readonly Holder[], { settings, natsCa }: RenderOptions): Part[] =>
  [...new Map(listeners.map((holder) => [holder.name, holder])).values()].map(({ name, spec }) => {
    const namespace = spec.namespace.name;
    const { deployment, others } = planGateway({ tenant: name, namespace }, spec, settings, {
      tls: natsCa !== undefined,
    });
    return {
      objects: [...others, deployment],
      secrets: [gatewayCredentialsName, gatewaySecretsName].map((secret) => `${namespace}/${secret}`),
    };
  });
