import type { Connection } from '../api/connection.ts';
import { Connections } from '../api/meta.ts';
import { type Parsed, parseConnection, parseIntegration } from '../api/parse.ts';
import { referencesOfIntegration } from '../api/references.ts';
import { type Assessment, assess, type Resolved, resolve } from '../plan/acceptance.ts';
import { readAccepted } from '../plan/accepted.ts';
import { acceptedName } from '../plan/children.ts';
import { verdict } from '../plan/conditions.ts';
import { ConfigMaps, Namespaces } from '../plan/kinds.ts';
import { filesOfConnection, referencesOf } from '../plan/references.ts';
import type { Settings } from '../settings.ts';
import { refusalOf } from './apply.ts';
import type { Context } from './context.ts';
import { keysIn } from './keys-in.ts';
import type { Cluster, KubeObject } from './ports.ts';
import { type Holder, integrationsOf } from './tenancy.ts';
import { workerOf } from './worker-of.ts';

/** Whether the spec can be put in place; the last word is the API server's, which checks pod settings better than we can. */
export const examine = async (context: Context, object: KubeObject, holder: Holder): Promise<Assessment> => {
  const assessment = assess(await candidateOf(context, object, holder));
  if (!assessment.resolved) return assessment;
  const refusal = await refusalOf(context.cluster, workerOf(context, object, holder, assessment.resolved).deployment);
  if (refusal === undefined) return assessment;
  return {
    accepted: verdict('Accepted', 'False', 'Invalid', `spec.podSettings: the API server refuses the pods: ${refusal}`),
    connections: assessment.connections,
  };
};

const candidateOf = async ({ cluster, settings }: Context, object: KubeObject, holder: Holder) => {
  const { namespace = '' } = object.metadata;
  const parsed = parseIntegration(object);
  const connections = new Map<string, Parsed<Connection>>();
  if (parsed.ok)
    for (const { name } of referencesOfIntegration(parsed.value.spec).connections) {
      const found = await cluster.get(Connections, name, namespace);
      if (found && !found.metadata.deletionTimestamp) connections.set(name, parseConnection(found));
    }
  const own = parsed.ok ? referencesOf(parsed.value.spec, {}, () => false).worker : [];
  const theirs = [...connections.values()].flatMap((connection) =>
    connection.ok ? filesOfConnection(connection.value.spec) : [],
  );
  return {
    identity: identityOf(object, holder),
    parsed,
    tenant: holder.spec,
    position: 1 + integrationsOf(cluster, namespace).findIndex(({ metadata }) => metadata.uid === object.metadata.uid),
    connection: (name: string) => connections.get(name),
    keysOf: await keysIn(cluster, namespace, [...own, ...theirs]),
    ...surroundings(cluster, settings),
  };
};

/** What the tenant's egress ceiling is about: the cluster's closed ranges, and the namespaces that selectors may select. */
const surroundings = (cluster: Cluster, settings: Settings) => ({
  closedRanges: settings.config.network.closedRanges,
  namespaces: cluster.list(Namespaces).map(({ metadata }) => ({ name: metadata.name, labels: metadata.labels ?? {} })),
});

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
