import { type EffectiveTenant, effectiveIntegration } from '../api/effective.ts';
import { Integrations } from '../api/meta.ts';
import { parseIntegration } from '../api/parse.ts';
import { remembered, rememberedWith } from '../api/remembered.ts';
import { referencesBySide } from '../plan/acceptance.ts';
import { componentLabel, gatewayCredentialsName, type Home, managedBy } from '../plan/children.ts';
import { planGateway, planGatewaySecrets } from '../plan/gateway.ts';
import { Deployments, Secrets, ServiceAccounts, Services } from '../plan/kinds.ts';
import type { Reference } from '../plan/references.ts';
import { planEndpoints } from '../plan/routes.ts';
import { type AcceptedIn, acceptedIn } from './accepted-in.ts';
import { applyChild, applyDeployment, deleteChild, scaleTo } from './apply.ts';
import type { Context } from './context.ts';
import { ensureCredentials } from './credentials.ts';
import type { AccountKeys, Cluster, KubeObject } from './ports.ts';

/** The gateway is there while an accepted Integration has a source that must listen; its secrets come before it. */
export const ensureGateway = async (
  context: Context,
  object: KubeObject,
  spec: EffectiveTenant,
  keys: AccountKeys,
): Promise<void> => {
  const { cluster, settings, natsCa } = context;
  const home = homeOf(object.metadata.name, spec);
  if (isRecordMissing(cluster, home.namespace)) return;
  const references = gatewayReferences(context, home.namespace);
  if (!references) return removeGateway(context, home.namespace);
  await ensureCredentials(context, home, { name: gatewayCredentialsName, role: 'gateway' }, keys);
  await composeSecrets(context, home, spec, references);
  const gateway = gateways(spec, [home.tenant, settings, natsCa], () =>
    planGateway(home, spec, settings, { tls: natsCa !== undefined }),
  );
  for (const other of gateway.others) await applyChild(cluster, other);
  await scaleTo(cluster, await applyDeployment(cluster, gateway.deployment), gateway.replicas);
};

/** The secrets that the gateway reads; for who has been accepted a moment ago and is not to wait until the Tenant is looked at. */
export const ensureGatewaySecrets = (context: Context, tenant: string, spec: EffectiveTenant): Promise<void> => {
  const home = homeOf(tenant, spec);
  const ensure = async () => {
    const references = gatewayReferences(context, home.namespace);
    if (references && !isRecordMissing(context.cluster, home.namespace))
      await composeSecrets(context, home, spec, references);
  };
  // Several are accepted in the same moment. Who comes while it is written looks whether its own are in it.
  const underWay = composing(context);
  const found = underWay.get(home.namespace);
  const done = found ?? ensure().finally(() => underWay.delete(home.namespace));
  underWay.set(home.namespace, done);
  return done;
};
/** By namespace. */
const composing = remembered((_context: Context) => new Map<string, Promise<void>>());

const homeOf = (tenant: string, { namespace }: EffectiveTenant): Home => ({ tenant, namespace: namespace.name });

const composeSecrets = async (
  context: Context,
  home: Home,
  spec: EffectiveTenant,
  references: readonly Reference[],
): Promise<void> => {
  const secrets = await secretsOf(context, home.namespace, references);
  const composed = compositions(spec, [home.tenant, ...references, null, ...secrets.values()], () =>
    planGatewaySecrets(home, references, ({ name, key }) => valuesIn(secrets.get(name))[key]),
  );
  await applyChild(context.cluster, composed);
};

const gateways = rememberedWith<ReturnType<typeof planGateway>>();
const compositions = rememberedWith<KubeObject>();

/**
 * What was accepted of an Integration that is served is not there: somebody deleted the record, which comes back in a moment. Until then
 * nothing is taken away from whom it serves.
 */
const isRecordMissing = (cluster: Cluster, namespace: string): boolean => {
  const recorded = new Set(acceptedIn(cluster, namespace).map(({ name }) => name));
  return cluster.list(Integrations, { namespace }).some(({ metadata, status }) => {
    const { endpoints = [] } = (status ?? {}) as { endpoints?: readonly string[] };
    return endpoints.length > 0 && !metadata.deletionTimestamp && !recorded.has(metadata.name);
  });
};

/** Of all accepted Integrations; `undefined` when none of them has a source for the gateway. */
const gatewayReferences = ({ cluster }: Context, namespace: string) => {
  const found = acceptedIn(cluster, namespace).flatMap((record) => {
    const integration = cluster.cached(Integrations, record.name, namespace);
    if (!integration || integration.metadata.deletionTimestamp) return [];
    return referencesOf(record, [], () => resolvedReferences(record, integration));
  });
  return found.length > 0 ? unique(found.flat()) : undefined;
};
/** In a list of one, or none when the gateway has nothing to serve. */
const referencesOf = rememberedWith<readonly (readonly Reference[])[]>();

const resolvedReferences = (
  { name, accepted }: AcceptedIn,
  integration: KubeObject,
): readonly (readonly Reference[])[] => {
  const { namespace = '', uid, generation } = integration.metadata;
  const isNewest = uid === accepted.uid && generation === accepted.generation;
  // Mostly it was parsed already, and that is half of what taking up an Integration costs here.
  const parsed = parseIntegration(isNewest ? integration : { ...integration, spec: accepted.spec });
  if (!parsed.ok) return [];
  const isServed = planEndpoints({ namespace, integration: name }, effectiveIntegration(parsed.value.spec)).length > 0;
  return isServed ? [referencesBySide({ spec: parsed.value.spec, connections: accepted.connections }).gateway] : [];
};
const unique = (references: readonly Reference[]): Reference[] =>
  [...new Map(references.map((reference) => [reference.path, reference])).values()].sort((a, b) =>
    a.path < b.path ? -1 : 1,
  );

const secretsOf = async ({ cluster }: Context, namespace: string, references: readonly Reference[]) => {
  const secrets = new Map<string, KubeObject | undefined>();
  for (const { name } of references)
    if (!secrets.has(name)) secrets.set(name, await cluster.get(Secrets, name, namespace));
  return secrets;
};
const valuesIn = (secret: KubeObject | undefined) => (secret?.['data'] ?? {}) as Readonly<Record<string, string>>;

const removeGateway = async ({ cluster }: Context, namespace: string): Promise<void> => {
  const labels = { ...managedBy, [componentLabel]: 'gateway' };
  for (const kind of [Deployments, Services, ServiceAccounts, Secrets])
    for (const object of cluster.list(kind, { namespace, labels })) await deleteChild(cluster, object);
};
