import { effectiveTenant } from '../api/effective.ts';
import { Tenants } from '../api/meta.ts';
import { parseTenant } from '../api/parse.ts';
import { planAccountLimits } from '../plan/account.ts';
import { managedBy, messagingFinalizer, tenantKeysName, tenantLabel } from '../plan/children.ts';
import { Deployments, Namespaces, Pods, Secrets } from '../plan/kinds.ts';
import { applyStatus, deleteChild } from './apply.ts';
import { type Context, hurryMs } from './context.ts';
import { ApiError, BrokerError, type KubeObject } from './ports.ts';
import { deletingStatus, isOverdue, leaveBehind, policyOf } from './release.ts';
import { accountKeysOf } from './tenancy.ts';

/**
 * Lets go of a tenant. Its pods end first: nobody would renew their credentials. Then, by deletionPolicy, the account is closed with
 * everything kept (a Tenant of the same name takes it up again), or it is deleted with its streams, keys and namespace.
 */
export const releaseTenant = async (context: Context, object: KubeObject) => {
  const { cluster, secretWatches } = context;
  if (!object.metadata.finalizers?.includes(messagingFinalizer)) return undefined;
  const namespace = await heldNamespace(context, object);
  if (namespace && !namespace.metadata.deletionTimestamp) {
    await stopPods(context, object, namespace.metadata.name);
    if (await mustWait(context, object, namespace.metadata.name)) return { requeueAfterMs: hurryMs };
  }
  const isDelete = policyOf(object) === 'Delete';
  const problem = await releaseAccount(context, object, isDelete);
  if (problem && !isOverdue(object, context.now())) {
    await applyStatus(cluster, object, deletingStatus(object, problem, context.now()));
    return { requeueAfterMs: hurryMs * 5 };
  }
  if (problem) leaveBehind(context, object, problem);
  // Keys of an account that could not be deleted stay: they are the only way to it.
  if (isDelete && !problem)
    await cluster.delete(Secrets, tenantKeysName(object.metadata.name), context.settings.namespace);
  if (isDelete && namespace && !namespace.metadata.deletionTimestamp) await deleteChild(cluster, namespace);
  if (namespace) secretWatches.close(namespace.metadata.name);
  await cluster.setFinalizer(object, Tenants, messagingFinalizer, false);
  return undefined;
};

/** Only the one that carries our label: a Tenant may claim a namespace that it never got. */
const heldNamespace = async ({ cluster }: Context, object: KubeObject): Promise<KubeObject | undefined> => {
  const { namespace } = object['spec'] as { namespace?: { name?: string } };
  const found = namespace?.name === undefined ? undefined : await cluster.get(Namespaces, namespace.name);
  return found?.metadata.labels?.[tenantLabel] === object.metadata.name ? found : undefined;
};

const stopPods = async ({ cluster }: Context, tenant: KubeObject, namespace: string): Promise<void> => {
  const labels = { ...managedBy, [tenantLabel]: tenant.metadata.name };
  for (const deployment of cluster.list(Deployments, { namespace, labels })) await deleteChild(cluster, deployment);
};

/** A pod is killed before; one on a node that is lost stays for longer than it is worth. */
const podsEndWithinMs = 60_000;
/**
 * They finish what they have in work while they still reach NATS. And a namespace that goes with pods in it is looked at again by Kubernetes
 * only after half of their grace period.
 */
const mustWait = async ({ cluster, now }: Context, { metadata }: KubeObject, namespace: string): Promise<boolean> => {
  if (now() - Date.parse(metadata.deletionTimestamp ?? '') > podsEndWithinMs) return false;
  const labels = { ...managedBy, [tenantLabel]: metadata.name };
  try {
    return (await cluster.read(Pods, { namespace, labels })).length > 0;
  } catch (error) {
    // Our rights there may be gone already: then there is nothing to learn.
    if (error instanceof ApiError && error.status === 403) return false;
    throw error;
  }
};

const releaseAccount = async (context: Context, object: KubeObject, isDelete: boolean): Promise<string | undefined> => {
  const { broker } = context;
  const { name } = object.metadata;
  const keys = await accountKeysOf(context, name);
  if (!keys) return undefined;
  try {
    if (isDelete) {
      await broker.deleteAccount(name, keys, { purgeStreams: true });
      context.ownRoutes.forget(keys.account);
      return undefined;
    }
    const parsed = parseTenant(object);
    // Limits are kept: without them JetStream would drop the streams.
    if (parsed.ok)
      await broker.ensureAccount(name, keys, planAccountLimits(effectiveTenant(name, parsed.value.spec)), {
        suspended: true,
      });
    return undefined;
  } catch (error) {
    if (error instanceof BrokerError) return error.message;
    throw error;
  }
};
