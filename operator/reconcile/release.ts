import { busStream, deadLetterStream, inboxStream, tickStream } from '../../runtime/nats/names.ts';
import { Integrations } from '../api/meta.ts';
import { messagingFinalizer, workerName } from '../plan/children.ts';
import { secondsTime, stampConditions, statusConditions, verdict } from '../plan/conditions.ts';
import { Deployments, Namespaces } from '../plan/kinds.ts';
import { applyStatus } from './apply.ts';
import { type Context, hurryMs, releaseWithinMs } from './context.ts';
import { BrokerError, type KubeObject } from './ports.ts';
import { accountKeysOf, holderOf } from './tenancy.ts';

/** Lets go of an Integration: its routes always, its streams by its deletionPolicy. Never for ever: what cannot be reached is left. */
export const releaseIntegration = async (context: Context, object: KubeObject) => {
  if (!object.metadata.finalizers?.includes(messagingFinalizer)) return undefined;
  const problem = await cleanUp(context, object);
  if (problem && !isOverdue(object, context.now())) {
    await applyStatus(context.cluster, object, deletingStatus(object, problem, context.now()));
    return { requeueAfterMs: hurryMs * 5 };
  }
  if (problem)
    context.cluster.event(object, { type: 'Warning', reason: 'Deleting', message: `left behind in NATS: ${problem}` });
  await context.cluster.setFinalizer(object, Integrations, messagingFinalizer, false);
  return undefined;
};

const cleanUp = async (context: Context, object: KubeObject): Promise<string | undefined> => {
  const { cluster, broker } = context;
  const { name, namespace = '' } = object.metadata;
  const holder = holderOf(cluster, namespace);
  // The account goes or stays with its Tenant; while the namespace goes nothing may wait.
  if (!holder || holder.object.metadata.deletionTimestamp) return undefined;
  if ((await cluster.get(Namespaces, namespace))?.metadata.deletionTimestamp) return undefined;
  const keys = await accountKeysOf(context, holder.name);
  if (!keys) return undefined;
  const isDelete = (object['spec'] as { deletionPolicy?: string } | undefined)?.deletionPolicy === 'Delete';
  // With the account closed nothing comes in; streams that are to be deleted have to wait for it to open.
  if (holder.spec.suspend) return isDelete ? 'the Tenant is suspended, so its streams cannot be deleted' : undefined;
  try {
    const tenant = broker.tenant(keys);
    await tenant.deleteRoutes(name);
    // Schedules would go on without it, for nobody; what they made is no accepted message.
    await tenant.ensureSchedules(name, []);
    await tenant.deleteConsumer(tickStream, name);
    if (isDelete) {
      await cluster.delete(Deployments, workerName(name), namespace);
      await tenant.deleteConsumer(busStream, name);
      for (const stream of [inboxStream(name), deadLetterStream(name)]) await tenant.deleteStream(stream);
    }
    return undefined;
  } catch (error) {
    if (error instanceof BrokerError) return error.message;
    throw error;
  }
};

export const isOverdue = ({ metadata }: KubeObject, now: number): boolean =>
  now - Date.parse(metadata.deletionTimestamp ?? '') > releaseWithinMs;

export const deletingStatus = (object: KubeObject, problem: string, now: number): Record<string, unknown> => {
  const previous = statusConditions(object['status']);
  const since = object.metadata.deletionTimestamp ?? secondsTime(now);
  const until = secondsTime(Date.parse(since) + releaseWithinMs);
  const message = `${problem}; it is tried until ${until}, then left behind`;
  const generation = object.metadata.generation ?? 0;
  const conditions = stampConditions(
    [verdict('Ready', 'Unknown', 'Deleting', message), verdict('Reconciling', 'True', 'Deleting', message)],
    { previous, generation, now },
  );
  const others = previous.filter((condition) => !conditions.some(({ type }) => type === condition.type));
  return {
    ...(object['status'] as Record<string, unknown> | undefined),
    observedGeneration: generation,
    conditions: [...conditions, ...others],
  };
};
