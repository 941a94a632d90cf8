import { Integrations, Tenants } from '../api/meta.ts';
import { intakeName, messagingFinalizer, tenantLabel, workerName } from '../plan/children.ts';
import { secondsTime, stampConditions, statusConditions, verdict } from '../plan/conditions.ts';
import { Deployments, Namespaces } from '../plan/kinds.ts';
import { applyStatus } from './apply.ts';
import { type Context, hurryMs, releaseWithinMs } from './context.ts';
import { BrokerError, type KubeObject } from './ports.ts';
import { accountKeysOf } from './tenancy.ts';

/** Lets go of an Integration: its routes always, its messages by its deletionPolicy. Never for ever: what cannot be reached is left. */
export const releaseIntegration = async (context: Context, object: KubeObject) => {
  if (!object.metadata.finalizers?.includes(messagingFinalizer)) return undefined;
  const problem = await cleanUp(context, object);
  if (problem && !isOverdue(object, context.now())) {
    await applyStatus(context.cluster, object, deletingStatus(object, problem, context.now()));
    return { requeueAfterMs: hurryMs * 5 };
  }
  if (problem) leaveBehind(context, object, problem);
  await context.cluster.setFinalizer(object, Integrations, messagingFinalizer, false);
  return undefined;
};

const cleanUp = async (context: Context, object: KubeObject): Promise<string | undefined> => {
  const { cluster, broker, credentialsMs } = context;
  const { name, namespace = '', uid = '' } = object.metadata;
  const home = await cluster.get(Namespaces, namespace);
  // By the namespace's label: a Tenant that is gone, or not valid any more, has its account and keys all the same.
  const tenant = home?.metadata.labels?.[tenantLabel];
  const keys = tenant === undefined ? undefined : await accountKeysOf(context, tenant);
  if (tenant === undefined || keys === undefined || (await takesAll(context, tenant))) return undefined;
  const messages = policyOf(object) === 'Delete';
  // Its pods would go on working while we remove. In a namespace that goes, they go with it, and so do our rights.
  if (messages && !home?.metadata.deletionTimestamp)
    await Promise.all([workerName(name), intakeName(name)].map((each) => cluster.delete(Deployments, each, namespace)));
  try {
    await broker.releaseIntegration(tenant, keys, { name, uid }, { messages, lifetimeMs: credentialsMs });
    return undefined;
  } catch (error) {
    if (error instanceof BrokerError) return error.message;
    throw error;
  }
};

/** The Tenant goes and takes its whole account along. */
const takesAll = async ({ cluster }: Context, name: string): Promise<boolean> => {
  const tenant = await cluster.get(Tenants, name);
  return tenant?.metadata.deletionTimestamp !== undefined && policyOf(tenant) === 'Delete';
};

/** Read from an object that may not be valid any more. */
export const policyOf = (object: KubeObject): string =>
  (object['spec'] as { deletionPolicy?: string } | undefined)?.deletionPolicy ?? 'Retain';

export const leaveBehind = ({ cluster }: Context, object: KubeObject, problem: string): void =>
  cluster.event(object, { type: 'Warning', reason: 'Deleting', message: `left behind in NATS: ${problem}` });

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
