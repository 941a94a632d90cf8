import { catalog } from '../../runtime/catalog.ts';
import { type ConnectionSpec, systemOf } from '../api/connection.ts';
import { Connections, Integrations } from '../api/meta.ts';
import { parseConnection, parseIntegration } from '../api/parse.ts';
import { connectionsNamedBy } from '../api/references.ts';
import type { Reconcile } from '../control/controller.ts';
import { connectionStatus } from '../plan/connection-status.ts';
import { filesOfConnection } from '../plan/references.ts';
import { applyStatus } from './apply.ts';
import { type Context } from './context.ts';
import { keysIn, referredTo } from './keys-in.ts';
import type { Cluster, KubeObject } from './ports.ts';
import { hasAccount, holderOf } from './tenancy.ts';

/** A Connection makes nothing: it is checked, and its status says what of it can be used. */
export const reconcileConnection =
  (context: Context): Reconcile =>
  async (key) => {
    const { cluster, settings, now } = context;
    const [namespace = '', name = ''] = key.split('/');
    const object = await cluster.get(Connections, name, namespace);
    if (!object || object.metadata.deletionTimestamp) return undefined;
    const tenant = holderOf(cluster, namespace);
    if (tenant && hasAccount(tenant)) await context.secretWatches.open(namespace);
    const parsed = parseConnection(object);
    const status = connectionStatus(object, {
      parsed,
      tenant: tenant?.spec,
      closedRanges: settings.config.network.closedRanges,
      // Without a tenant there is no right to read Secrets either.
      keysOf: tenant && parsed.ok ? await keysNamedBy(cluster, namespace, parsed.value.spec) : undefined,
      endpoints: parsed.ok ? endpointsOf(parsed.value.spec) : [],
      usedBy: usersOf(cluster, namespace, name),
      now: now(),
    });
    await applyStatus(cluster, object, status);
    return undefined;
  };

const keysNamedBy = async (cluster: Cluster, namespace: string, spec: ConnectionSpec) =>
  keysIn(await referredTo(cluster, namespace, filesOfConnection(spec)));

const endpointsOf = (spec: Parameters<typeof systemOf>[0]) => {
  const { system, config } = systemOf(spec);
  return catalog.connections.get(system)?.endpoints(config) ?? [];
};

const usersOf = (cluster: Cluster, namespace: string, name: string): number =>
  cluster.list(Integrations, { namespace }).filter((integration) => namesConnection(integration, name)).length;
const namesConnection = (integration: KubeObject, name: string): boolean => {
  const parsed = parseIntegration(integration);
  return parsed.ok && connectionsNamedBy(parsed.value.spec).includes(name);
};
