import { type EffectiveTenant, effectiveTenant } from '../operator/api/effective.ts';
import type { Finding } from '../operator/api/findings.ts';
import type { Integration, IntegrationSpec } from '../operator/api/integration.ts';
import { parseConnection, parseIntegration, parseTenant } from '../operator/api/parse.ts';
import { referencesOfIntegration } from '../operator/api/references.ts';
import { type Assessment, assess, noTenant } from '../operator/plan/acceptance.ts';
import { connectionStatus } from '../operator/plan/connection-status.ts';
import { namespaceRefusal } from '../operator/plan/namespace.ts';
import {
  filesOfConnection,
  type KeysOf,
  missingReference,
  type Reference,
  referencesOf,
} from '../operator/plan/references.ts';
import { repeatsThatHarm } from './advice.ts';
import type { FileWorld } from './file-world.ts';
import { divided, type FileFinding } from './finding.ts';
import type { FileObject } from './objects.ts';

/*
 * One object of each kind, asked the questions that API server and operator ask, with their own code: texts are theirs.
 */
export interface Surroundings {
  readonly world: FileWorld;
  readonly operatorNamespace: string;
  readonly closedRanges: readonly string[];
}
export type Said = Pick<FileFinding, 'path' | 'message' | 'rule' | 'reason'> & {
  /** Only a cluster can tell. */
  readonly uncertain?: boolean;
  /** May be meant so: a warning however strict the check is. */
  readonly advice?: boolean;
};

export const saidOf = (findings: readonly Finding[]): Said[] =>
  findings.map(({ path, message, rule, reason }) => ({ path, message, rule, reason }));

/** The text of a condition. */
const ofCondition = (reason: string, text: string, uncertain = false): Said => ({
  ...divided(text),
  rule: reason,
  reason,
  uncertain,
});

export const checkTenant = ({ object }: FileObject, { world, operatorNamespace }: Surroundings): Said[] => {
  const parsed = parseTenant(object);
  if (!parsed.ok) return saidOf(parsed.findings);
  const { name, adopt = false } = parsed.value.spec.namespace;
  const refusal = namespaceRefusal({
    tenant: parsed.value.metadata.name,
    namespace: name,
    adopt,
    operatorNamespace,
    claims: world.claims,
    live: undefined,
  });
  return refusal ? [ofCondition(refusal.reason, refusal.message)] : [];
};

export const checkConnection = (item: FileObject, { world, closedRanges }: Surroundings): Said[] => {
  const parsed = parseConnection(item.object);
  if (!parsed.ok) return saidOf(parsed.findings);
  const namespace = world.namespaceOf(item);
  const holder = world.holderOf(namespace);
  const status = connectionStatus(
    { ...item.object, status: {} },
    {
      parsed,
      tenant: holder?.spec ?? (isElsewhere(world, namespace) ? undefined : unknownTenant(namespace)),
      closedRanges,
      keysOf: world.keysOf(namespace),
      endpoints: [],
      usedBy: 0,
      now: 0,
    },
  );
  return (status.conditions ?? [])
    .filter(({ type, status: state }) => (type === 'Accepted' || type === 'SecretsResolved') && state === 'False')
    .map(({ type, reason, message }) =>
      ofCondition(reason, message, type === 'Accepted' ? !holder : isAbsent(message)),
    );
};

export const checkIntegration = (item: FileObject, { world, closedRanges }: Surroundings): Said[] => {
  const parsed = parseIntegration(item.object);
  if (!parsed.ok) return saidOf(parsed.findings);
  const namespace = world.namespaceOf(item);
  const holder = world.holderOf(namespace);
  if (!holder && isElsewhere(world, namespace)) return saidBy(noTenant(namespace), true);
  const tenant = holder ?? { name: namespace, spec: unknownTenant(namespace, parsed.value.spec) };
  const { assessment, absent } = assessInFiles(item, parsed, tenant, { world, closedRanges });
  return [...saidBy(assessment, !holder), ...absent, ...repeatsThatHarm(parsed.value)];
};

/** The operator's own judgement, on what is in the files. */
export const assessInFiles = (
  item: FileObject,
  parsed: Extract<ReturnType<typeof parseIntegration>, { ok: true }>,
  tenant: { readonly name: string; readonly spec: EffectiveTenant },
  { world, closedRanges }: Pick<Surroundings, 'world' | 'closedRanges'>,
): { assessment: Assessment; absent: Said[] } => {
  const namespace = world.namespaceOf(item);
  const { absent, keysOf } = absentReferences(parsed.value, world, namespace);
  const { name, uid = '', generation = 0 } = parsed.value.metadata;
  const assessment = assess({
    identity: { tenant: tenant.name, namespace, integration: name, uid, generation },
    parsed,
    tenant: tenant.spec,
    position: world.positionOf(item),
    connection: (wanted) => world.connectionOf(namespace, wanted),
    keysOf,
    closedRanges,
    namespaces: world.namespaces,
  });
  return { assessment, absent };
};

/** Secrets are seldom in files: each that is not is said once, and then taken to have what is needed, so that the rest is checked too. */
const absentReferences = ({ spec }: Integration, world: FileWorld, namespace: string) => {
  const known = world.keysOf(namespace);
  const own = Object.values(referencesOf(spec, {}, () => 'gateway')).flat();
  const { connections, secrets, cas } = referencesOfIntegration(spec);
  const theirs = connections.flatMap(({ name }) => {
    const connection = world.connectionOf(namespace, name);
    return connection?.ok ? filesOfConnection(connection.value.spec) : [];
  });
  const isAbsentFrom = ({ kind, name }: Reference) => known(kind, name) === undefined;
  // Those of a Connection are said where the Connection is.
  const absent = own.filter(isAbsentFrom).flatMap((reference): Said[] => {
    const missing = missingReference([reference], known);
    if (!missing) return [];
    const place = [...secrets, ...cas].find(({ name, key }) => name === reference.name && key === reference.key);
    return [{ ...ofCondition(`${missing.kind}Missing`, missing.message, true), path: place?.path ?? '' }];
  });
  const needed = (kind: Reference['kind'], name: string) =>
    [...own, ...theirs].filter((one) => one.kind === kind && one.name === name).map(({ key }) => key);
  const keysOf: KeysOf = (kind, name) => known(kind, name) ?? needed(kind, name);
  return { absent, keysOf };
};

export const saidBy = ({ accepted, connections }: Assessment, uncertain: boolean): Said[] => [
  ...(accepted.status === 'False' ? [ofCondition(accepted.reason, accepted.message, uncertain)] : []),
  ...(connections.status === 'False'
    ? [ofCondition(connections.reason, connections.message, isAbsent(connections.message))]
    : []),
];
/** It may be in the cluster. That a Secret of the files has not the key is sure. */
const isAbsent = (message: string): boolean => message.includes('is not in this namespace');

/** Tenants are in the files, but none of this namespace; of objects that name none it is not known. */
const isElsewhere = ({ hasTenants }: FileWorld, namespace: string): boolean => hasTenants && namespace !== '';

/** Where no Tenant is known, nothing that only a Tenant can forbid is forbidden; addresses are taken by the default ceiling. */
export const unknownTenant = (namespace: string, spec?: IntegrationSpec): EffectiveTenant => {
  const { podSettings = {} } = spec ?? {};
  return effectiveTenant(namespace, {
    namespace: { name: namespace },
    quota: { integrations: Number.MAX_SAFE_INTEGER },
    workload: {
      tolerations: podSettings.tolerations ?? [],
      priorityClassNames: podSettings.priorityClassName ? [podSettings.priorityClassName] : [],
    },
  });
};
