import { catalog } from '../../runtime/catalog.ts';
import { type Flow, pluginOf, type Routes } from '../../runtime/flow.ts';
import type { EffectiveIntegration } from '../api/effective.ts';

/** The sources that the gateway serves for an Integration; `undefined` when it has none. */
export const planRoutes = (flow: Flow, suspended: boolean): Routes | undefined => {
  const sources = flow.sources.filter((item) => pluginOf(item, catalog.sources).definition.placement === 'gateway');
  if (sources.length === 0) return undefined;
  const { version, tenant, namespace, integration, uid, generation } = flow;
  return {
    version,
    tenant,
    namespace,
    integration,
    uid,
    generation,
    suspended,
    partitions: flow.delivery.partitions,
    // Else nobody needs it, and a message without one need not be refused.
    ...(flow.delivery.ordering === 'Key' && flow.delivery.key !== undefined ? { key: flow.delivery.key } : {}),
    ...(flow.largeBodies ? { largeBodies: flow.largeBodies } : {}),
    sources,
  };
};

/** Addresses inside the cluster at which the gateway accepts for an Integration. */
export const planEndpoints = (
  identity: { namespace: string; integration: string },
  spec: Pick<EffectiveIntegration, 'sources'>,
): string[] =>
  spec.sources.flatMap((item) => {
    const { definition, config } = pluginOf(item, catalog.sources);
    return definition.placement === 'gateway'
      ? definition
          .paths(config)
          .map((path) => `http://gateway.${identity.namespace}.svc/${identity.integration}${path}`)
      : [];
  });

/** `shop(http)`: ready-made for a column. */
export const describeParts = (
  items: readonly Parameters<typeof pluginOf>[0][],
  plugins: ReadonlyMap<string, unknown>,
): string => items.map((item) => `${item.name}(${pluginOf(item, plugins).kind})`).join(', ');
