import { type EffectiveIntegration, type EffectiveTenant } from '../../operator/api/effective.ts';
import { parseIntegration } from '../../operator/api/parse.ts';
import type { Resolved } from '../../operator/plan/acceptance.ts';
import { planRoutes } from '../../operator/plan/routes.ts';
import { bindingsOf, planSchedules, planSharedStreams, planSubscriptions } from '../../operator/plan/shared-streams.ts';
import { planStreams } from '../../operator/plan/streams.ts';
import type { StreamSpec } from '../../operator/reconcile/ports.ts';
import type { Schedule } from '../../runtime/connector.ts';
import type { Flow, Routes } from '../../runtime/flow.ts';
import type { ScheduleEntry } from '../../runtime/nats/ticks.ts';
import { checkSources } from '../check.ts';
import { fileWorld } from '../file-world.ts';
import type { FileFinding } from '../finding.ts';
import { assessInFiles, saidBy, unknownTenant } from '../kind-checks.ts';
import { collectObjects, type FileObject, isOurs } from '../objects.ts';
import type { Source } from '../sources.ts';
import { type LocalSecrets, localSecrets, missingText } from './secrets.ts';

/*
 * What runs of the objects in files, made by the operator's own checks and plans, so that a laptop and a cluster do the same.
 */
export interface LocalIntegration {
  readonly namespace: string;
  readonly name: string;
  readonly file: string;
  /** Of all that makes it run differently. */
  readonly hash: string;
  readonly flow: Flow;
  /** Accepts, and works on nothing. */
  readonly suspended: boolean;
  /** Its sources at the gateway. */
  readonly routes: Routes | undefined;
  readonly schedules: readonly LocalSchedule[];
  /** Its own, and what it reads of the shared ones. */
  readonly streams: readonly StreamSpec[];
}
export interface LocalSchedule extends ScheduleEntry {
  readonly schedule: Schedule;
}
export interface LocalPlan {
  readonly integrations: readonly LocalIntegration[];
  readonly secrets: LocalSecrets;
  /** Nothing runs when one of them is an error. */
  readonly findings: readonly FileFinding[];
}
export interface LocalOptions {
  /** Of objects that name none. */
  readonly namespace: string;
  /** Holds `<secret>/<key>`. */
  readonly secretsFolder?: string | undefined;
  /** Of what is found nowhere. */
  readonly otherSecrets?: LocalSecrets;
  /** Folder that stands for the volume of a claim, if there is one. */
  readonly volume: (claim: string) => string | undefined;
  /** What runs in place of an Integration that was checked. */
  readonly instead?: (item: FileObject) => FileObject;
}

export const planLocally = (sources: readonly Source[], options: LocalOptions): LocalPlan => {
  const checked = checkSources(sources, {
    namespace: options.namespace,
    strict: false,
    operatorNamespace: 'kanava-system',
    closedRanges: [],
  });
  const { objects } = collectObjects(sources);
  const world = fileWorld(objects, options.namespace);
  const found = localSecrets(objects, world, options.secretsFolder);
  const { otherSecrets: others } = options;
  const secrets: LocalSecrets = {
    find: (namespace, wanted) => found.find(namespace, wanted) ?? others?.find(namespace, wanted),
  };
  const planned = objects
    .filter((item) => isOurs(item) && item.object.kind === 'Integration')
    .map((item) => planOne(options.instead?.(item) ?? item, world, { secrets, volume: options.volume }));
  const findings = [...checked.findings, ...planned.flatMap(({ findings: own }) => own)];
  return { integrations: planned.flatMap(({ integration }) => integration ?? []), secrets, findings };
};

interface Planned {
  readonly integration?: LocalIntegration;
  readonly findings: readonly FileFinding[];
}

const planOne = (
  item: FileObject,
  world: ReturnType<typeof fileWorld>,
  { secrets, volume }: Pick<LocalOptions, 'volume'> & { readonly secrets: LocalSecrets },
): Planned => {
  const parsed = parseIntegration(item.object);
  // The check says why.
  if (!parsed.ok) return { findings: [] };
  const namespace = world.namespaceOf(item);
  const holder = world.holderOf(namespace) ?? { name: namespace, spec: openTenant(namespace, parsed.value.spec) };
  const { assessment } = assessInFiles(item, parsed, holder, { world, closedRanges: [] });
  const { resolved } = assessment;
  const error = (path: string, message: string, rule: string): FileFinding => ({
    file: item.file,
    ...item.placeOf(path),
    object: item.title,
    path,
    message,
    rule,
    reason: rule,
    severity: 'error',
  });
  if (!resolved)
    return { findings: saidBy(assessment, false).map(({ path, message, rule }) => error(path, message, rule)) };
  const references = Object.values(resolved.references).flat();
  const missing = references.filter((reference) => secrets.find(namespace, reference) === undefined);
  const unmounted = [...new Set(Object.values(resolved.claims).flat())].filter((claim) => volume(claim) === undefined);
  const findings = [
    ...missing.map((reference) => error('', missingText(reference), `${reference.kind}Missing`)),
    ...unmounted.map((claim) => error('', noVolumeText(claim), 'VolumeMissing')),
  ];
  return { integration: integrationOf(item.file, resolved, holder.spec), findings };
};

const integrationOf = (file: string, { flow, hash, spec }: Resolved, tenant: EffectiveTenant): LocalIntegration => {
  const { namespace, integration: name, uid } = flow;
  return {
    namespace,
    name,
    file,
    hash: `${hash}${spec.suspend ? ' suspended' : ''}`,
    flow,
    routes: planRoutes(flow, spec.suspend),
    suspended: spec.suspend,
    schedules: schedulesOf(flow, spec),
    streams: [...planStreams({ name, uid }, spec), ...readStreams({ name, uid }, spec, tenant)],
  };
};

const noVolumeText = (claim: string): string =>
  `a folder is needed in place of the volume of the claim ${claim}: make a folder ${claim}, and name the folder that it is in with --volumes`;

const schedulesOf = (flow: Flow, spec: EffectiveIntegration): LocalSchedule[] => {
  const bindings = bindingsOf(spec);
  return planSchedules(flow, spec).flatMap((entry) => {
    const binding = bindings.find(({ name }) => name === entry.source)?.binding;
    return binding?.stream === 'tick' ? [{ ...entry, schedule: binding.schedule }] : [];
  });
};

/** The tenant's shared streams with the consumers of this Integration. */
const readStreams = (
  owner: { readonly name: string; readonly uid: string },
  spec: EffectiveIntegration,
  { messaging }: EffectiveTenant,
): StreamSpec[] => {
  const shared = planSharedStreams({ uid: '', messaging });
  const subscriptions = planSubscriptions(owner, spec);
  return (['bus', 'tick'] as const).map((name) => ({
    ...shared[name],
    consumers: subscriptions.filter(({ stream }) => stream === name).map(({ consumer }) => consumer),
  }));
};

/** Where no Tenant is in the files, what runs may reach what the laptop reaches, but no special addresses other than its own. */
const openTenant = (namespace: string, spec: Parameters<typeof unknownTenant>[1]): EffectiveTenant => {
  const tenant = unknownTenant(namespace, spec);
  const reachable = ['0.0.0.0/0', '::/0', '127.0.0.0/8', '::1/128', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'];
  return { ...tenant, network: { ...tenant.network, egress: { allow: reachable.map((cidr) => ({ cidr })) } } };
};
