import { catalog } from '../../runtime/catalog.ts';
import { systemOf } from '../api/connection.ts';
import { Connections } from '../api/meta.ts';
import { parseConnection, parseIntegration } from '../api/parse.ts';
import { referencesOfIntegration } from '../api/references.ts';
import type { Reconcile } from '../control/controller.ts';
import { connectionStatus } from '../plan/connection-status.ts';
import { filesOfConnection } from '../plan/references.ts';
import { applyStatus } from './apply.ts';
import { type Context } from './context.ts';
import { keysIn } from './keys-in.ts';
import type { Cluster } from './ports.ts';
import { holderOf, integrationsOf } from './tenancy.ts';

/** A Connection makes nothing: it is checked, and its status says what of it can be used. */
export const reconcileConnection =
  (context: Context): Reconcile =>
  async (key) => {
    const { cluster, settings, now } = context;
    const [namespace = '', name = ''] = key.split('/');
    const object = await cluster.get(Connections, name, namespace);
    if (!object || object.metadata.deletionTimestamp) return undefined;
    const tenant = holderOf(cluster, namespace);
    const parsed = parseConnection(object);
    const status = connectionStatus(object, {
      parsed,
      tenant: tenant?.spec,
      closedRanges: settings.config.network.closedRanges,
      // Without a tenant there is no right to read Secrets either.
      keysOf: tenant && parsed.ok ? await keysIn(cluster, namespace, filesOfConnection(parsed.value.spec)) : undefined,
      endpoints: parsed.ok ? endpointsOf(parsed.value.spec) : [],
      usedBy: usersOf(cluster, namespace, name),
      now: now(),
    });
    await applyStatus(cluster, object, status);
    return undefined;
  };

const endpointsOf = (spec: Parameters<typeof systemOf>[0]) => {
  const { system, config } = systemOf(spec);
  return catalog.connections.get(system)?.endpoints(config) ?? [];
};

const usersOf = (cluster: Cluster, namespace: string, name: string): number =>
  integrationsOf(cluster, namespace).filter((integration) => {
    const parsed = parseIntegration(integration);
    return parsed.ok && referencesOfIntegration(parsed.value.spec).connections.some((ref) => ref.name === name);
  }).length;
