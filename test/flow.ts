import { integrationDefaults } from '../operator/api/defaults.ts';
import type { Flow } from '../runtime/flow.ts';

/**
 * The resolved flow of an Integration with all defaults: http in, two cheap steps, http out to `url`. `integration` names everything;
 * `changed` replaces fields.
 */
export const resolvedFlow = (integration: string, url: string, changed: Partial<Flow> = {}): Flow => ({
  version: 1,
  tenant: integration,
  namespace: integration,
  integration,
  uid: integration,
  generation: 1,
  sources: [{ name: 'in', http: { path: '/in' } }],
  steps: [
    { name: 'worth-it', filter: { when: "body.total > 10.0 && attrs.type == 'order'" } },
    { name: 'shape', map: { body: { id: '=attrs.id', lines: '=body.lines.map(line, line.sku)' } } },
  ],
  flows: [],
  sinks: [{ name: 'out', http: { connectionRef: { name: 'there' } } }],
  connections: { there: { http: { url } } },
  delivery: integrationDefaults.delivery,
  egress: { allow: [{ cidr: '127.0.0.1/32' }], closed: [] },
  ...changed,
});
