import { effectiveTenant } from '../api/effective.ts';
import { Tenants } from '../api/meta.ts';
import { parseTenant } from '../api/parse.ts';
import { planAccountLimits } from '../plan/account.ts';
import { managedBy, messagingFinalizer, tenantKeysName, tenantLabel } from '../plan/children.ts';
import { Deployments, Namespaces, Secrets } from '../plan/kinds.ts';
import { applyStatus, deleteChild } from './apply.ts';
import { type Context, hurryMs } from './context.ts';
import { BrokerError, type KubeObject } from './ports.ts';
import { deletingStatus, isOverdue } from './release.ts';
import { accountKeysOf } from './tenancy.ts';

/**
 * Lets go of a tenant. Its pods stop first: nobody would renew their credentials. Then, by deletionPolicy, the account is closed with
 * everything kept (a Tenant of the same name takes it up again), or it is deleted with its streams, keys and namespace.
 */
export const releaseTenant = async (context: Context, object: KubeObject) => {
  const { cluster, secretWatches } = context;
  const namespace = heldNamespace(object);
  if (!object.metadata.finalizers?.includes(messagingFinalizer)) return undefined;
  if (namespace) {
    const labels = { ...managedBy, [tenantLabel]: object.metadata.name };
    for (const deployment of cluster.list(Deployments, { namespace, labels })) await deleteChild(cluster, deployment);
  }
  const isDelete = (object['spec'] as { deletionPolicy?: string } | undefined)?.deletionPolicy === 'Delete';
  const problem = await releaseAccount(context, object, isDelete);
  if (problem && !isOverdue(object, context.now())) {
    await applyStatus(cluster, object, deletingStatus(object, problem, context.now()));
    return { requeueAfterMs: hurryMs * 5 };
  }
  if (problem)
    cluster.event(object, { type: 'Warning', reason: 'Deleting', message: `left behind in NATS: ${problem}` });
  // Keys of an account that could not be deleted stay: they are the only way to it.
  if (isDelete && !problem)
    await cluster.delete(Secrets, tenantKeysName(object.metadata.name), context.settings.namespace);
  if (isDelete && namespace) await deleteNamespace(context, object.metadata.name, namespace);
  if (namespace) secretWatches.close(namespace);
  await cluster.setFinalizer(object, Tenants, messagingFinalizer, false);
  return undefined;
};

const heldNamespace = (object: KubeObject): string | undefined =>
  (object['status'] as { namespace?: { name?: string } } | undefined)?.namespace?.name;

const releaseAccount = async (context: Context, object: KubeObject, isDelete: boolean): Promise<string | undefined> => {
  const { broker } = context;
  const { name } = object.metadata;
  const keys = await accountKeysOf(context, name);
  if (!keys) return undefined;
  try {
    if (isDelete) {
      await broker.deleteAccount(name, keys, { purgeStreams: true });
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

/** Only the namespace that carries our label, and only the one that we saw. */
const deleteNamespace = async ({ cluster }: Context, tenant: string, namespace: string): Promise<void> => {
  const live = await cluster.get(Namespaces, namespace);
  if (live?.metadata.labels?.[tenantLabel] === tenant && !live.metadata.deletionTimestamp)
    await deleteChild(cluster, live);
};
