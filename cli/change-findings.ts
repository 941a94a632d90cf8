import type { Finding } from '../operator/api/findings.ts';
import {
  connectionChange,
  integrationChange,
  parseConnection,
  parseIntegration,
  parseTenant,
  tenantChange,
} from '../operator/api/parse.ts';
import type { KubeObject } from '../operator/reconcile/ports.ts';

/** What the API server would refuse of a change; nothing where one of the two has a mistake of its own. */
export const changeFindings = (object: KubeObject, old: KubeObject): Finding[] => {
  const between = <T>(
    parse: (object: unknown) => { ok: true; value: T } | { ok: false },
    change: (a: T, b: T) => Finding[],
  ) => {
    const [after, before] = [parse(object), parse(old)];
    return after.ok && before.ok ? change(after.value, before.value) : [];
  };
  switch (object.kind) {
    case 'Tenant':
      return between(parseTenant, tenantChange);
    case 'Connection':
      return between(parseConnection, connectionChange);
    default:
      return between(parseIntegration, integrationChange);
  }
};
