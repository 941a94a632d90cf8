import type { Integration } from '../operator/api/integration.ts';
import { catalog } from '../runtime/catalog.ts';
import { pluginOf } from '../runtime/flow.ts';
import type { Said } from './kind-checks.ts';

/*
 * What may be meant as it is and is worth a look. It never fails a check.
 */

/** Sinks at which a repeat after a crash may take effect twice. What only answers requests is not repeated by us. */
export const repeatsThatHarm = ({ spec: { sources, sinks = [] } }: Integration): Said[] => {
  if (sources.every(answersOnly)) return [];
  return sinks.flatMap((item, index) => {
    const { kind, definition, config } = pluginOf(item, catalog.sinks);
    const reason = definition.idempotent(config);
    if (reason === true) return [];
    const path = `spec.sinks[${index}].${kind}`;
    return [{ path, message: reason, rule: 'NotIdempotent', reason: 'NotIdempotent', advice: true }];
  });
};

const answersOnly = (item: Integration['spec']['sources'][number]): boolean => {
  const { definition, config } = pluginOf(item, catalog.sources);
  return definition.placement === 'gateway' && definition.replies?.(config) !== undefined;
};
