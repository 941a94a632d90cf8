import { answersRequests } from '../../runtime/flow.ts';
import { milliseconds } from '../../runtime/schema.ts';
import { rememberedWith } from '../api/remembered.ts';
import type { Resolved } from '../plan/acceptance.ts';
import { planAccepted } from '../plan/accepted.ts';
import { flowName, messagingFinalizer, workerName } from '../plan/children.ts';
import { scalingPolicy } from '../plan/decide-replicas.ts';
import { fetches, planIntake } from '../plan/intake.ts';
import type { IntegrationPodPlan } from '../plan/integration-pod.ts';
import { bindingsOf } from '../plan/shared-streams.ts';
import { planWorker } from '../plan/worker.ts';
import type { Context } from './context.ts';
import type { AccountKeys, KubeObject } from './ports.ts';
import type { ScalingTarget } from './scaler.ts';
import type { Holder } from './tenancy.ts';

export const homeOf = ({ metadata }: KubeObject, holder: Holder) => ({
  tenant: holder.name,
  namespace: metadata.namespace ?? '',
  integration: { name: metadata.name, uid: metadata.uid ?? '' },
});

/** The same objects as long as nothing has changed that they are made from. */
export const workerOf = (context: Context, object: KubeObject, holder: Holder, basis: Resolved) =>
  workers(basis, partsOf(context, object, holder), () => planWorker(planOf('worker', context, object, holder, basis)));
const workers = rememberedWith<ReturnType<typeof planWorker>>();

/** `undefined` when nothing is to be fetched. */
export const intakeOf = (context: Context, object: KubeObject, holder: Holder, basis: Resolved) => {
  if (!fetches(basis.spec)) return undefined;
  const suspended = isSuspended(object) || holder.spec.suspend;
  return intakes(basis, [...partsOf(context, object, holder), suspended], () =>
    planIntake({ ...planOf('intake', context, object, holder, basis), suspended }),
  );
};
const intakes = rememberedWith<ReturnType<typeof planIntake>>();

const partsOf = ({ settings, natsCa }: Context, object: KubeObject, holder: Holder) => [
  settings,
  natsCa,
  object.metadata.uid,
  holder.name,
  holder.spec,
];
const planOf = (
  side: 'worker' | 'intake',
  { settings, natsCa }: Context,
  object: KubeObject,
  holder: Holder,
  basis: Resolved,
): IntegrationPodPlan => ({
  home: homeOf(object, holder),
  spec: basis.spec,
  tenant: holder.spec,
  settings,
  nats: { tls: natsCa !== undefined },
  flow: flowName(object.metadata.name, basis.hash),
  references: basis.references[side],
  claims: basis.claims[side],
});

export const acceptedRecordOf = (object: KubeObject, holder: Holder, basis: Resolved): KubeObject =>
  records(basis, [object.metadata.uid, object.metadata.generation, holder.name], () =>
    planAccepted(homeOf(object, holder), {
      uid: object.metadata.uid ?? '',
      generation: object.metadata.generation ?? 0,
      hash: basis.hash,
      ...basis.source,
    }),
  );
const records = rememberedWith<KubeObject>();

export const scalingTarget = (
  { broker }: Context,
  object: KubeObject,
  holder: Holder,
  { spec }: Resolved,
  keys: AccountKeys,
): ScalingTarget => {
  const { name, namespace = '' } = object.metadata;
  const shared = bindingsOf(spec).map(({ binding }) => binding.stream);
  return {
    integration: name,
    account: keys.account,
    policy: scalingPolicy({ ...spec, suspend: isSuspended(object) }, holder.spec),
    sharedStreams: [...new Set(shared)],
    deployment: { name: workerName(name), namespace },
    partitions: spec.delivery.partitions,
    attemptMs: milliseconds(spec.delivery.timeout) ?? 30_000,
    concurrency: spec.delivery.concurrency,
    ...(answersRequests(spec.sources) ? { calledSince: broker.tenant(keys).calledSince } : {}),
  };
};

/** Before the finalizer nothing was made of it, and most likely nothing is left of an earlier one of its name. */
export const isUntouched = ({ metadata }: KubeObject): boolean => !metadata.finalizers?.includes(messagingFinalizer);

/** Suspending is obeyed even when the rest of the spec cannot be used. */
export const isSuspended = (object: KubeObject): boolean =>
  (object['spec'] as { suspend?: unknown } | undefined)?.suspend === true;
