import type { Connection } from '../api/connection.ts';
import type { IntegrationSpec } from '../api/integration.ts';
import { Connections } from '../api/meta.ts';
import { type Parsed, parseConnection, parseIntegration } from '../api/parse.ts';
import { connectionsNamedBy } from '../api/references.ts';
import { remembered, rememberedWith } from '../api/remembered.ts';
import { type Assessment, assess, type Resolved, resolve } from '../plan/acceptance.ts';
import { readAccepted } from '../plan/accepted.ts';
import { acceptedName } from '../plan/children.ts';
import { verdict } from '../plan/conditions.ts';
import type { NamespaceLabels } from '../plan/egress.ts';
import { ConfigMaps, Deployments, Namespaces } from '../plan/kinds.ts';
import { filesOfConnection, referencesOf } from '../plan/references.ts';
import type { Settings } from '../settings.ts';
import { rehearse } from './apply.ts';
import type { Context } from './context.ts';
import { keysIn, referredTo } from './keys-in.ts';
import type { Cluster, KubeObject } from './ports.ts';
import { type Holder, positionOf } from './tenancy.ts';
import { isUntouched, workerOf } from './worker-of.ts';

export interface Examined extends Assessment {
  /** Its Deployment is not there yet. */
  readonly isNew?: boolean;
}

/** Whether the spec can be put in place; the last word is the API server's, which checks pod settings better than we can. */
export const examine = async (context: Context, object: KubeObject, holder: Holder): Promise<Examined> => {
  const assessment = await assessed(context, object, holder);
  if (!assessment.resolved) return assessment;
  const { deployment } = workerOf(context, object, holder, assessment.resolved);
  if (isPlain(object, assessment.resolved) && !context.cluster.cached(Deployments, ...nameOf(deployment)))
    return { ...assessment, isNew: true };
  const { refusal, isNew = false } = await rehearse(context.cluster, deployment);
  return refusal === undefined ? { ...assessment, isNew } : refused(assessment, refusal);
};

/** Pods without settings are what they always are: a rehearsal would cost as much as the real thing, which may be refused, too. */
const isPlain = (object: KubeObject, { source }: Resolved): boolean =>
  isUntouched(object) && source.spec.podSettings === undefined;
const nameOf = ({ metadata }: KubeObject) => [metadata.name, metadata.namespace] as const;

export const refused = ({ connections }: Assessment, refusal: string): Examined => ({
  accepted: verdict('Accepted', 'False', 'Invalid', `spec.podSettings: the API server refuses the pods: ${refusal}`),
  connections,
});

const assessments = rememberedWith<Assessment>();

/** Most looks find everything as it was: then nothing is checked and planned again. */
const assessed = async ({ cluster, settings }: Context, object: KubeObject, holder: Holder): Promise<Assessment> => {
  const { namespace = '' } = object.metadata;
  const parsed = parseIntegration(object);
  const named = parsed.ok ? connectionsNamedBy(parsed.value.spec) : [];
  const stored = await Promise.all(named.map((name) => connectionOf(cluster, name, namespace)));
  const connections = stored.filter((found) => found && !found.metadata.deletionTimestamp) as KubeObject[];
  const own = parsed.ok ? filesOf(parsed.value.spec) : [];
  const theirs = connections.flatMap((found) => filesIn(parseConnection(found)));
  const objects = await referredTo(cluster, namespace, [...own, ...theirs]);
  const position = positionOf(cluster, object);
  const around = surroundings(cluster, settings);
  const identity = identityOf(object, holder);
  const inputs = [
    ...Object.values(identity),
    holder.spec,
    position,
    ...Object.values(around),
    ...connections.flatMap((found) => [found.metadata.name, found['spec']]),
    null,
    ...objects.values(),
  ];
  return assessments(parsed.ok ? parsed.value.spec : object, inputs, () =>
    assess({
      identity,
      parsed,
      tenant: holder.spec,
      position,
      connection: (name) => {
        const found = connections.find(({ metadata }) => metadata.name === name);
        return found && parseConnection(found);
      },
      keysOf: keysIn(objects),
      ...around,
    }),
  );
};
/**
 * Who is told that a Connection is missing may give up at once (`helm install --wait`), and the watch of Connections may be a moment behind that
 * of Integrations: so it is asked for before that is said.
 */
const connectionOf = async (cluster: Cluster, name: string, namespace: string): Promise<KubeObject | undefined> => {
  const known = await cluster.get(Connections, name, namespace);
  if (known) return known;
  return (await cluster.read(Connections, { namespace, labels: {} })).find(({ metadata }) => metadata.name === name);
};
const filesOf = remembered((spec: IntegrationSpec) => referencesOf(spec, {}, () => 'broker').worker);
const filesIn = remembered((connection: Parsed<Connection>) =>
  connection.ok ? filesOfConnection(connection.value.spec) : [],
);

/** What the tenant's egress ceiling is about: the cluster's closed ranges, and the namespaces that selectors may select. */
const surroundings = (cluster: Cluster, settings: Settings) => ({
  closedRanges: settings.config.network.closedRanges,
  namespaces: labelsOf(cluster.list(Namespaces)),
});
/** The same list as long as no namespace has changed. */
const labelsOf = remembered((namespaces: readonly KubeObject[]): readonly NamespaceLabels[] =>
  namespaces.map(({ metadata }) => ({ name: metadata.name, labels: metadata.labels ?? {} })),
);

export const identityOf = ({ metadata }: KubeObject, holder: Holder) => ({
  tenant: holder.name,
  namespace: metadata.namespace ?? '',
  integration: metadata.name,
  uid: metadata.uid ?? '',
  generation: metadata.generation ?? 0,
});

/** What was accepted last, under the tenant's ceilings of now; `undefined` before the first time. */
export const lastAccepted = async (
  { cluster, settings }: Context,
  object: KubeObject,
  holder: Holder,
): Promise<Resolved | undefined> => {
  const { name, namespace, uid } = object.metadata;
  const accepted = readAccepted(await cluster.get(ConfigMaps, acceptedName(name), namespace), uid);
  // A newer operator may understand less of an old spec; then what runs is left as it is.
  const parsed = accepted && parseIntegration({ ...object, spec: accepted.spec });
  if (!accepted || !parsed?.ok) return undefined;
  const identity = { ...identityOf(object, holder), generation: accepted.generation };
  return resolve(
    { identity, tenant: holder.spec, ...surroundings(cluster, settings) },
    { spec: parsed.value.spec, connections: accepted.connections },
  );
};
