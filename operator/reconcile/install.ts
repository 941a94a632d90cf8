import { type EffectiveIntegration, effectiveIntegration } from '../api/effective.ts';
import { Integrations } from '../api/meta.ts';
import { rememberedWith } from '../api/remembered.ts';
import type { Resolved } from '../plan/acceptance.ts';
import { readAccepted } from '../plan/accepted.ts';
import {
  acceptedName,
  flowName,
  gatewaySecretsName,
  integrationLabel,
  managedBy,
  messagingFinalizer,
  replayCredentialsName,
  workerCredentialsName,
} from '../plan/children.ts';
import { type Verdict, verdict } from '../plan/conditions.ts';
import { neededReplicas } from '../plan/decide-replicas.ts';
import { deploymentState } from '../plan/deployment.ts';
import { planFlowConfig, unusedFlows } from '../plan/flow.ts';
import { composedKey } from '../plan/gateway.ts';
import type { Facts } from '../plan/integration-conditions.ts';
import { ConfigMaps, Deployments, ReplicaSets, Secrets } from '../plan/kinds.ts';
import { streamFailure } from '../plan/messaging.ts';
import { planRoutes } from '../plan/routes.ts';
import { replicasOf } from '../plan/scaling.ts';
import { planStreams } from '../plan/streams.ts';
import type { Work } from '../plan/work.ts';
import { applyChild, applyDeployment, refusalIn } from './apply.ts';
import { sweepBodies } from './bodies.ts';
import type { Context } from './context.ts';
import { ensureCredentials } from './credentials.ts';
import { type Examined, lastAccepted } from './examine.ts';
import { ensureIntake } from './intake.ts';
import {
  type AccountKeys,
  BrokerError,
  type Cluster,
  type KubeObject,
  type StreamSpec,
  type StreamState,
} from './ports.ts';
import { ensureSubscriptions, type Subscribed } from './subscriptions.ts';
import { accountKeysOf, type Holder, hasAccount } from './tenancy.ts';
import { ensureGatewaySecrets } from './tenant-gateway.ts';
import { keyOf } from './wake.ts';
import { acceptedRecordOf, homeOf, isSuspended, isUntouched, scalingTarget, workerOf } from './worker-of.ts';

/** What was put in place, and what was seen on the way. */
export interface Installed {
  /** What it was made from: the new spec, or the last accepted one. */
  readonly basis: Resolved | undefined;
  readonly messaging: Verdict<'MessagingReady'>;
  readonly inbox: StreamState | undefined;
  readonly deadLetters: StreamState | undefined;
  readonly lastDeadLetter: { readonly reason: string; readonly time: string } | undefined;
  readonly subscribed: Subscribed;
  readonly deployment: KubeObject | undefined;
  /** Absent where nothing is to be fetched. */
  readonly intake: KubeObject | undefined;
  readonly wanted: number;
  readonly needed: number;
  readonly work: Work | undefined;
  readonly gateway: Facts['gateway'];
  readonly paused: Facts['paused'];
  /** Why the API server did not take a Deployment that was not there yet. */
  readonly refusal?: string;
}
export const nothingInstalled = (why: string): Installed => ({
  basis: undefined,
  messaging: verdict('MessagingReady', 'Unknown', 'Waiting', why),
  inbox: undefined,
  deadLetters: undefined,
  lastDeadLetter: undefined,
  subscribed: {},
  deployment: undefined,
  intake: undefined,
  wanted: 0,
  needed: 0,
  work: undefined,
  gateway: undefined,
  paused: undefined,
});

/**
 * The order of effects. Streams come before the flow that uses them, credentials before the Deployment that mounts them, the accepted
 * record before what is made from it, and routes last: whoever is let in finds everything behind. Every step may be the last one that an
 * operator lives to see; the next reconcile begins from the top and finds what is done.
 */
export const install = async (
  context: Context,
  object: KubeObject,
  holder: Holder,
  assessment: Examined,
): Promise<Installed> => {
  const { cluster, scaler } = context;
  const wish = assessment.resolved ?? (await lastAccepted(context, object, holder));
  if (!wish) return nothingInstalled('there was no spec that could be used yet');
  const keys = await accountKeysOf(context, holder.name);
  if (!keys || !hasAccount(holder)) return nothingInstalled('the account of the Tenant is being made');

  const streams = await ensureStreams(context, object, holder, wish, keys);
  if (streams.messaging.status === 'True') await sweepBodies(context, object, wish.spec, keys);
  const basis = streams.messaging.status === 'True' ? wish : await withoutStreams(context, object, holder, wish);
  if (!basis) return { ...nothingInstalled(''), ...streams };

  const home = homeOf(object, holder);
  const { name } = object.metadata;
  await ensureCredentials(context, home, { name: workerCredentialsName(name), role: 'worker' }, keys);
  await ensureCredentials(context, home, { name: replayCredentialsName(name), role: 'replay' }, keys);
  await ensureFlow(context, object, holder, basis);
  if (basis === assessment.resolved) await applyChild(cluster, acceptedRecordOf(object, holder, basis));
  const worker = workerOf(context, object, holder, basis);
  await applyChild(cluster, worker.serviceAccount);
  const isNew = basis === assessment.resolved && assessment.isNew === true;
  const deployment = await applyDeployment(cluster, worker.deployment, { isNew }).catch((error: unknown) => {
    if (cluster.cached(Deployments, worker.deployment.metadata.name, home.namespace)) throw error;
    return refusalIn(error);
  });
  if (typeof deployment === 'string') return { ...nothingInstalled(''), ...streams, refusal: deployment };
  const target = scalingTarget(context, object, holder, basis, keys);
  const key = keyOf(object);
  scaler.track(key, target);
  const intake = await ensureIntake(context, object, holder, basis, keys);
  const routed = await ensureRoutes(context, object, holder, basis, keys, streams.messaging);
  // One that has no status yet has had no other flow.
  if (!isUntouched(object)) await pruneFlows(context, object, basis, intake ? [deployment, intake] : [deployment]);
  const wanted = scaler.wanted(key) ?? replicasOf(deployment) ?? 0;
  const needed = neededReplicas(target.policy, wanted);
  const paused = await pauseOf(context, object, deployment, wanted, keys);
  return { ...streams, ...routed, basis, deployment, intake, wanted, needed, work: scaler.work(key), paused };
};

/** Asked for only while pods of the newest template are not ready: those that are say nothing, and older ones go. */
const pauseOf = async (
  { broker }: Context,
  { metadata }: KubeObject,
  deployment: KubeObject,
  wanted: number,
  keys: AccountKeys,
): Promise<Installed['paused']> => {
  const { ready, rollout } = deploymentState(deployment);
  if (ready >= wanted || rollout !== 'done') return undefined;
  return broker
    .tenant(keys)
    .paused(metadata.name)
    .catch((error: unknown) => {
      if (error instanceof BrokerError) return undefined;
      throw error;
    });
};

/** Without its streams a new flow could not work, so the last one stays; a suspended one works with none. */
const withoutStreams = async (context: Context, object: KubeObject, holder: Holder, wish: Resolved) =>
  (await lastAccepted(context, object, holder)) ?? (holder.spec.suspend ? wish : undefined);

type Streams = Pick<Installed, 'messaging' | 'inbox' | 'deadLetters' | 'lastDeadLetter' | 'subscribed'>;
const noStreams = { inbox: undefined, deadLetters: undefined, lastDeadLetter: undefined, subscribed: {} };

/** Makes or repairs the streams, and tells how they are; both in one pass, since repairing begins with looking. */
const ensureStreams = async (
  { broker, cluster }: Context,
  object: KubeObject,
  holder: Holder,
  wish: Resolved,
  keys: AccountKeys,
): Promise<Streams> => {
  const { name, uid = '' } = object.metadata;
  if (holder.spec.suspend)
    return {
      messaging: verdict('MessagingReady', 'Unknown', 'Waiting', 'the account is closed while the Tenant is suspended'),
      ...noStreams,
    };
  await cluster.setFinalizer(object, Integrations, messagingFinalizer, true);
  try {
    const tenant = broker.tenant(keys);
    const [inbox, deadLetters] = await Promise.all(
      streamsOf(wish.spec, [name, uid], () => planStreams({ name, uid }, wish.spec)).map((stream) =>
        tenant.ensureStream(stream, { isNew: isUntouched(object), mayStand: true }),
      ),
    );
    const earlier = await specInPlace(cluster, object);
    const subscribed = await ensureSubscriptions(tenant, { object, holder, spec: wish.spec, earlier });
    const lastDeadLetter = deadLetters?.messages ? await tenant.lastDeadLetter(name) : undefined;
    return { messaging: verdict('MessagingReady', 'True', 'Ready'), inbox, deadLetters, lastDeadLetter, subscribed };
  } catch (error) {
    if (error instanceof BrokerError) return { messaging: streamFailure(error.code, error.message), ...noStreams };
    throw error;
  }
};

const streamsOf = rememberedWith<StreamSpec[]>();

const specInPlace = async (cluster: Cluster, { metadata }: KubeObject): Promise<EffectiveIntegration | undefined> => {
  const { name, namespace, uid } = metadata;
  const accepted = readAccepted(cluster.cached(ConfigMaps, acceptedName(name), namespace), uid);
  return accepted && effectiveIntegration(accepted.spec);
};

/** A flow is named by what is in it and immutable: one that is there is right. */
const ensureFlow = async ({ cluster }: Context, object: KubeObject, holder: Holder, basis: Resolved): Promise<void> => {
  const { name, namespace } = object.metadata;
  const live = cluster.cached(ConfigMaps, flowName(name, basis.hash), namespace);
  if (!live) await applyChild(cluster, planFlowConfig(homeOf(object, holder), basis.flow));
};

const ensureRoutes = async (
  context: Context,
  object: KubeObject,
  holder: Holder,
  basis: Resolved,
  keys: AccountKeys,
  messaging: Verdict<'MessagingReady'>,
): Promise<Pick<Installed, 'gateway' | 'messaging'>> => {
  const { name, namespace, uid = '' } = object.metadata;
  const isClosed = isSuspended(object);
  const routes = routesOf(basis.flow, [isClosed], () => planRoutes(basis.flow, isClosed));
  if (messaging.status !== 'True')
    return { messaging, gateway: routes && { uid, revision: undefined, applied: undefined } };
  const tenant = context.broker.tenant(keys);
  try {
    if (!routes) {
      const had = (object['status'] as { endpoints?: readonly string[] } | undefined)?.endpoints ?? [];
      if (had.length > 0) await tenant.deleteRoutes(name);
      return { messaging, gateway: undefined };
    }
    const isComposed = await ensureComposed(context, namespace, holder, basis);
    const isNew = isUntouched(object);
    const revision = isComposed ? await tenant.putRoutes(routes, { isNew }) : undefined;
    if (revision !== undefined) context.ownRoutes.wrote(keys.account, revision);
    // Nobody has taken up what was not there a moment ago.
    return { messaging, gateway: { uid, revision, applied: isNew ? undefined : await tenant.applied(name) } };
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    return { messaging: streamFailure(error.code, error.message), gateway: undefined };
  }
};

/** Whether the gateway can read all that the routes refer to. */
const ensureComposed = async (
  context: Context,
  namespace: string | undefined,
  { name, spec }: Holder,
  { references }: Resolved,
): Promise<boolean> => {
  const look = async () => {
    const composed = await context.cluster.get(Secrets, gatewaySecretsName, namespace);
    const keys = Object.keys(composed?.['data'] ?? {});
    return references.gateway.every((reference) => keys.includes(composedKey(reference)));
  };
  if (await look()) return true;
  await ensureGatewaySecrets(context, name, spec);
  if (await look()) return true;
  // That may have been another's, begun before this one was accepted.
  await ensureGatewaySecrets(context, name, spec);
  return look();
};

const routesOf = rememberedWith<ReturnType<typeof planRoutes>>();

const pruneFlows = async (
  { cluster }: Context,
  object: KubeObject,
  basis: Resolved,
  deployments: readonly KubeObject[],
) => {
  const { name, namespace = '' } = object.metadata;
  const labels = { ...managedBy, [integrationLabel]: name };
  const flows = cluster
    .list(ConfigMaps, { namespace, labels })
    .filter(({ metadata }) => metadata.name.startsWith(flowName(name, '')));
  const live = deployments.flatMap(({ metadata }) => cluster.cached(Deployments, metadata.name, namespace) ?? []);
  const workloads = [...deployments, ...live, ...cluster.list(ReplicaSets, { namespace, labels })];
  for (const flow of unusedFlows(flows, { accepted: flowName(name, basis.hash), workloads }))
    await cluster.delete(ConfigMaps, flow, namespace);
};
