import { busStream } from '../../runtime/nats/names.ts';
import { type EffectiveTenant, effectiveIntegration } from '../api/effective.ts';
import { Integrations, Tenants } from '../api/meta.ts';
import { remembered, rememberedWith } from '../api/remembered.ts';
import type { TenantStatus } from '../api/tenant.ts';
import { planAccountKeys, planAccountLimits, readAccountKeys } from '../plan/account.ts';
import { capacity, planBuckets } from '../plan/buckets.ts';
import { messagingFinalizer, tenantKeysName } from '../plan/children.ts';
import { statusConditions, verdict } from '../plan/conditions.ts';
import { mayHavePods } from '../plan/deployment.ts';
import { Deployments, Secrets } from '../plan/kinds.ts';
import { messagingFailure } from '../plan/messaging.ts';
import { planNatsConfig } from '../plan/nats-config.ts';
import { planSharedStreams } from '../plan/shared-streams.ts';
import { planStreams } from '../plan/streams.ts';
import { accountVerdict, capacityVerdict, durableVerdict, type TenantFacts } from '../plan/tenant-conditions.ts';
import { type AcceptedIn, acceptedIn } from './accepted-in.ts';
import { applyChild } from './apply.ts';
import type { Context } from './context.ts';
import { type AccountKeys, BrokerError, type KubeObject, type ServerFacts, type StreamSpec } from './ports.ts';

export type Account = NonNullable<TenantStatus['account']>;
export interface Messaging extends Pick<TenantFacts, 'messaging' | 'capacity' | 'durable'> {
  readonly keys: AccountKeys | undefined;
  readonly account: Account | undefined;
}

/** Keys, then the finalizer, then the account: what is made in NATS can always be found again and taken away. */
export const ensureMessaging = async (
  context: Context,
  object: KubeObject,
  spec: EffectiveTenant,
): Promise<Messaging> => {
  const { cluster, broker, settings, natsCa } = context;
  const { name, uid = '' } = object.metadata;
  const home = { tenant: name, namespace: spec.namespace.name };
  const streams = sharedStreams(spec, [uid], () => {
    const shared = planSharedStreams({ uid, messaging: spec.messaging });
    return [...planBuckets({ uid, replicas: spec.messaging.replicas }), shared.bus, shared.tick];
  });
  const used = capacity([...streams, ...plannedStreams(context, spec)], spec.messaging);
  const checked = {
    capacity: capacityVerdict(used, spec.messaging),
    durable: verdict('Durable', 'Unknown', 'NotChecked', 'NATS was not asked yet'),
  };
  const keys = await ensureKeys(context, name);
  if (!keys)
    return {
      ...checked,
      keys,
      account: undefined,
      messaging: verdict(
        'MessagingReady',
        'False',
        'Refused',
        `Secret ${tenantKeysName(name)} in namespace ${settings.namespace} is not whole and is never overwritten: restore it from a backup, or delete it to begin anew without the stored messages`,
      ),
    };
  await cluster.setFinalizer(object, Tenants, messagingFinalizer, true);
  const nats = { url: settings.config.nats.url, ca: natsCa };
  await applyChild(
    cluster,
    natsConfigs(spec, [name, ...Object.values(nats)], () => planNatsConfig(home, nats)),
  );
  const suspension = { suspended: spec.suspend, drained: !spec.suspend || isDrained(context, object, spec) };
  const look = async () => {
    const state = await broker.ensureAccount(name, keys, planAccountLimits(spec), suspension);
    const facts = await broker.facts();
    const account = { id: state.id, serversAcked: state.serversAcked, serversTotal: state.serversTotal };
    if (!spec.suspend) {
      for (const stream of streams)
        await broker.tenant(keys).ensureStream(withBatches(stream, facts), { mayStand: true });
      await broker.tenant(keys).sweepRoutes(() => integrationsIn(context, spec));
    }
    return { account, messaging: accountVerdict(state), durable: durableVerdict(facts) };
  };
  const isRight = ({ messaging }: Pick<Messaging, 'messaging'>) => messaging.status === 'True';
  try {
    const found = await context.accountLooks.take(name, [keys, uid, spec, suspension.drained], look, isRight);
    return { keys, ...checked, ...found };
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    return { ...checked, keys, account: undefined, messaging: messagingFailure(error.code, error.message) };
  }
};

const natsConfigs = rememberedWith<KubeObject>();
const sharedStreams = rememberedWith<StreamSpec[]>();

/** A server that waits for the disk waits once for all events of a batch; one that does not is faster without. */
const withBatches = (stream: StreamSpec, { syncAlways }: Pick<ServerFacts, 'syncAlways'>): StreamSpec =>
  stream.name === busStream && syncAlways !== undefined
    ? batched(stream, [syncAlways], () => ({ ...stream, allowBatches: syncAlways }))
    : stream;
const batched = rememberedWith<StreamSpec>();

const integrationsIn = ({ cluster }: Context, { namespace }: EffectiveTenant): ReadonlySet<string> =>
  new Set(cluster.list(Integrations, { namespace: namespace.name }).map(({ metadata }) => metadata.name));

/** Made once: another set would cut the tenant off from everything that is stored. */
const ensureKeys = async ({ cluster, broker, settings }: Context, tenant: string): Promise<AccountKeys | undefined> => {
  const live = await cluster.get(Secrets, tenantKeysName(tenant), settings.namespace);
  if (live) return readAccountKeys(live);
  const keys = broker.newAccountKeys();
  await applyChild(cluster, planAccountKeys(tenant, settings.namespace, keys));
  return keys;
};

const plannedStreams = (context: Context, spec: EffectiveTenant) =>
  acceptedIn(context.cluster, spec.namespace.name).flatMap(streamsOf);
const streamsOf = remembered(({ name, accepted }: AcceptedIn) =>
  planStreams({ name, uid: accepted.uid }, effectiveIntegration(accepted.spec)),
);

const drainMs = 60_000;
/** Closing the account cuts connections: pods get the time to finish what they have in work, and no longer. */
const isDrained = ({ cluster, now }: Context, object: KubeObject, spec: EffectiveTenant): boolean => {
  const since = statusConditions(object['status']).find(({ type }) => type === 'Suspended');
  if (since?.status === 'True' && now() - Date.parse(since.lastTransitionTime) > drainMs) return true;
  return !cluster.list(Deployments, { namespace: spec.namespace.name }).some(mayHavePods);
};
