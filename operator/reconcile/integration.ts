import type { IntegrationStatus } from '../api/integration.ts';
import { Integrations } from '../api/meta.ts';
import type { Reconcile, ReconcileResult } from '../control/controller.ts';
import { type Assessment, noTenant } from '../plan/acceptance.ts';
import { type BusStatus, busStatus } from '../plan/bus-gap.ts';
import { busGapSeenAnnotation } from '../plan/children.ts';
import { deploymentState } from '../plan/deployment.ts';
import type { Facts } from '../plan/integration-conditions.ts';
import { integrationStatus } from '../plan/integration-status.ts';
import { Namespaces } from '../plan/kinds.ts';
import { announce } from './announce.ts';
import { applyStatus } from './apply.ts';
import { type Context, closelyEveryMs, lookAgainMs } from './context.ts';
import { examine, refused } from './examine.ts';
import { type Installed, install, nothingInstalled } from './install.ts';
import type { KubeObject } from './ports.ts';
import { releaseIntegration } from './release.ts';
import { type Holder, hasAccount, holderOf } from './tenancy.ts';
import { sayingTrouble } from './trouble.ts';
import { isSuspended } from './worker-of.ts';

const lookRestMs = 50;

/** Read, observe, plan, apply, say what is. The order of the writes is in install.ts. */
export const reconcileIntegration =
  (context: Context): Reconcile =>
  async (key) => {
    const { cluster } = context;
    const [namespace = '', name = ''] = key.split('/');
    const object = await cluster.get(Integrations, name, namespace);
    // Its children go with it, by their owner references.
    if (!object || object.metadata.deletionTimestamp) {
      context.scaler.forget(key);
      context.bodySweeps.forget(key);
    }
    if (!object) return undefined;
    return sayingTrouble(context, object, () => reconcile(context, object));
  };

const reconcile = async (context: Context, object: KubeObject): Promise<ReconcileResult | undefined> => {
  const { cluster } = context;
  const { namespace = '' } = object.metadata;
  if (object.metadata.deletionTimestamp) return releaseIntegration(context, object);
  if ((await cluster.get(Namespaces, namespace))?.metadata.deletionTimestamp) return undefined;

  const holder = holderOf(cluster, namespace);
  if (!holder)
    return report(
      context,
      object,
      undefined,
      noTenant(namespace),
      nothingInstalled('the namespace belongs to no Tenant'),
    );
  if (holder.object.metadata.deletionTimestamp) return undefined;
  // A new operator knows the Secrets of a tenant once that tenant was looked at, or here.
  if (hasAccount(holder)) await context.secretWatches.open(namespace);
  const assessment = await examine(context, object, holder);
  const installed = await install(context, object, holder, assessment);
  const judged = installed.refusal === undefined ? assessment : refused(assessment, installed.refusal);
  return report(context, object, holder, judged, installed);
};

const report = async (
  context: Context,
  object: KubeObject,
  holder: Holder | undefined,
  assessment: Assessment,
  installed: Installed,
) => {
  const { basis, deployment, intake, wanted, needed, deadLetters } = installed;
  const bus = busStatusOf(object, installed);
  const facts: Facts = {
    generation: object.metadata.generation ?? 0,
    accepted: assessment.accepted,
    connections: assessment.connections,
    suspended: { integration: isSuspended(object), tenant: holder?.spec.suspend ?? false },
    messaging: installed.messaging,
    workers: basis && deployment && { wanted, needed, ...deploymentState(deployment) },
    intake: intake && deploymentState(intake),
    gateway: installed.gateway,
    paused: installed.paused,
    deadLetters: deadLetters && {
      count: deadLetters.messages,
      // A dead letter needs a little room of its own; the last percent is as good as none.
      full: basis !== undefined && deadLetters.bytes >= basis.spec.deadLetter.maxBytes * 0.99,
      lastReason: installed.lastDeadLetter?.reason,
    },
    gap: bus?.gap && { ...bus.gap, acknowledge: acknowledging(object, bus.gap.through) },
  };
  const status = integrationStatus(object, facts, { ...installed, bus }, basis?.spec, context.now());
  await applyStatus(context.cluster, object, status);
  announce(context.cluster, object, status.conditions ?? []);
  if (!holder) return undefined;
  const others = { count: context.cluster.count(Integrations), restMs: lookRestMs };
  const lookAgain = lookAgainMs(status.conditions ?? [], context.now(), others);
  // How far it has read on the bus is part of the status and no news; nor is it when its schedules go.
  const isSubscribed = Object.keys(installed.subscribed).length > 0;
  return { requeueAfterMs: isSubscribed ? Math.min(closelyEveryMs, lookAgain) : lookAgain };
};

/** What was known stays while the bus cannot be looked at; without a subscription there is nothing to know. */
const busStatusOf = (object: KubeObject, { basis, messaging, subscribed }: Installed): BusStatus | undefined => {
  const { bus: previous } = (object['status'] ?? {}) as IntegrationStatus;
  const stream = subscribed.bus;
  const [consumer] = stream?.consumers ?? [];
  if (!basis || messaging.status !== 'True') return previous;
  if (!stream || !consumer) return undefined;
  const seen = Number(object.metadata.annotations?.[busGapSeenAnnotation] ?? 0);
  return busStatus({ ...stream, ...consumer }, previous, Number.isNaN(seen) ? 0 : seen);
};

const acknowledging = ({ metadata }: KubeObject, through: number): string =>
  `kubectl annotate integrations.kanava.dev ${metadata.name} -n ${metadata.namespace} --overwrite ${busGapSeenAnnotation}=${through}`;
