import { describe, expect, it } from 'vitest';
import { refused } from '../operator/api/refused.ts';
import { chartOf, lint, type Rendered, template, type ValuesChart, valuesOf } from './values-charts.ts';

/*
 * Values that `helm template`, `helm lint` and so `helm install` refuse by values.schema.json, with the place and a text that says what
 * is wrong. (Helm of the version that users have; no API server is asked.)
 */
const source = { http: { path: '/orders' } };
const key = { secretKeyRef: { name: 'erp', key: 'token' } };
const integration = (more: object) => ({ integrations: { orders: { sources: { shop: source }, ...more } } });
const connection = (more: object) => ({ connections: { erp: { http: { url: 'https://erp.example.com', ...more } } } });
const tenant = (more: object) => ({ tenants: { acme: { namespace: { name: 'acme' }, ...more } } });

interface Row {
  readonly why: string;
  readonly values: unknown;
  readonly says: readonly (string | RegExp)[];
}
const inIntegration = "at '/integrations/orders";
const inConnection = "at '/connections/erp/http";
const inTenant = "at '/tenants/acme";

const integrations: readonly Row[] = [
  { why: 'a typo at the top', values: { integration: {} }, says: ["'integration' not allowed"] },
  {
    why: 'a typo in a spec',
    values: integration({ deadletter: {} }),
    says: [`${inIntegration}'`, "'deadletter' not allowed"],
  },
  {
    why: 'a typo deep below',
    values: integration({ delivery: { retry: { attempt: 3 } } }),
    says: [`${inIntegration}/delivery/retry'`, "'attempt' not allowed"],
  },
  {
    why: 'a typo in a connector, which would open a door',
    values: integration({ sources: { shop: { http: { path: '/a', Auth: { bearer: key } } } } }),
    says: [`${inIntegration}/sources/shop/http'`, "'Auth' not allowed"],
  },
  {
    why: 'a manifest where a spec belongs',
    values: integration({ spec: { sources: [] } }),
    says: [`${inIntegration}'`, "'spec' not allowed"],
  },
  {
    why: 'two connectors in one source',
    values: integration({ sources: { shop: { ...source, bus: { types: ['a'] } } } }),
    says: [/'bus' not allowed|sources\/shop\/\w+': value must be 'absent: more than one source/],
  },
  {
    why: 'two steps in one',
    values: integration({ steps: [{ name: 'a', filter: { when: 'true' }, map: { body: 1 } }] }),
    says: [`${inIntegration}/steps/0/map'`, 'more than one step (keep one; use a second step for the other)'],
  },
  {
    why: 'a source without a connector',
    values: integration({ sources: { shop: {} } }),
    says: [`${inIntegration}/sources/shop'`, /missing property '(http|one source: .*http)/],
  },
  {
    why: 'a step that does nothing',
    values: integration({ steps: [{ name: 'a' }] }),
    says: [`${inIntegration}/steps/0'`, /missing property 'one step: .*filter, .*map/],
  },
  { why: 'no source', values: integration({ sources: {} }), says: [`${inIntegration}/sources'`, 'got 0, want 1'] },
  {
    why: 'sources as a list, which would not merge',
    values: integration({ sources: [{ name: 'shop', ...source }] }),
    says: [`${inIntegration}/sources'`, 'got array, want object'],
  },
  {
    why: 'steps as a map, which would lose their order',
    values: integration({ steps: { keep: { filter: { when: 'true' } } } }),
    says: [`${inIntegration}/steps'`, 'got object'],
  },
  {
    why: 'a second name for a source',
    values: integration({ sources: { shop: { ...source, name: 'desk' } } }),
    says: [`${inIntegration}/sources/shop'`, "'name' not allowed"],
  },
  {
    why: 'null in a list, where it takes nothing away',
    values: integration({ steps: [null] }),
    says: [`${inIntegration}/steps/0'`, 'got null, want object'],
  },
  {
    why: 'a duration without a unit',
    values: integration({ delivery: { timeout: '30' } }),
    says: [`${inIntegration}/delivery/timeout'`, "'30' does not match"],
  },
  {
    why: 'a size with a word',
    values: integration({ inbox: { maxBytes: '10 MB' } }),
    says: [`${inIntegration}/inbox/maxBytes'`, "'10 MB' does not match"],
  },
  {
    why: 'an unknown choice',
    values: integration({ inbox: { storage: 'Disk' } }),
    says: [`${inIntegration}/inbox/storage'`, "one of 'File', 'Memory'"],
  },
  {
    why: 'text instead of a boolean',
    values: integration({ suspend: 'yes' }),
    says: [`${inIntegration}/suspend'`, 'got string', 'boolean'],
  },
  {
    why: 'text instead of a number',
    values: integration({ scaling: { maxReplicas: '3' } }),
    says: [`${inIntegration}/scaling/maxReplicas'`, 'got string', 'integer'],
  },
  {
    why: 'half a pod',
    values: integration({ scaling: { maxReplicas: 2.5 } }),
    says: [`${inIntegration}/scaling/maxReplicas'`, 'got number', 'integer'],
  },
  {
    why: 'a label that YAML made a boolean',
    values: integration({ metadata: { labels: { ready: true } } }),
    says: [`${inIntegration}/metadata/labels/ready'`, 'got boolean'],
  },
  {
    why: 'a name beside the name',
    values: integration({ metadata: { name: 'other' } }),
    says: [`${inIntegration}/metadata'`, "'name' not allowed"],
  },
  {
    why: 'a sink without a Connection',
    values: integration({ sinks: { erp: { http: { path: '/x' } } } }),
    says: [`${inIntegration}/sinks/erp/http'`, "missing property 'connectionRef'"],
  },
  {
    why: 'a name that Kubernetes does not take',
    values: { integrations: { Orders_1: { sources: { shop: source } } } },
    says: ["'Orders_1' does not match"],
  },
  {
    why: 'a name that is too long',
    values: { integrations: { ['o'.repeat(41)]: { sources: { shop: source } } } },
    says: ['got 41, want 40'],
  },
  {
    why: 'an inline password',
    values: connection({ auth: { basic: { username: 'me', password: 'hunter2' } } }),
    says: [`${inConnection}/auth/basic/password'`, 'got string, want object'],
  },
  {
    why: 'an inline token',
    values: connection({ auth: { bearer: 'abc' } }),
    says: [`${inConnection}/auth/bearer'`, 'got string', 'object'],
  },
  {
    why: 'an inline token below a key',
    values: connection({ auth: { bearer: { token: 'abc' } } }),
    says: [`${inConnection}/auth/bearer'`, "'token' not allowed", "missing property 'secretKeyRef'"],
  },
  {
    why: 'a password in a URL',
    values: connection({ url: 'https://me:hunter2@erp.example.com' }),
    says: [`${inConnection}/url'`, 'does not match'],
  },
  {
    why: 'a Secret outside the namespace',
    values: connection({ auth: { bearer: { secretKeyRef: { ...key.secretKeyRef, namespace: 'other' } } } }),
    says: [`${inConnection}/auth/bearer/secretKeyRef'`, "'namespace' not allowed"],
  },
  {
    why: 'a Secret whose name is a path',
    values: connection({ auth: { bearer: { secretKeyRef: { name: '../other', key: 'a' } } } }),
    says: [`${inConnection}/auth/bearer/secretKeyRef/name'`, "'../other' does not match"],
  },
  {
    why: 'two ways to authenticate',
    values: connection({ auth: { bearer: key, basic: { username: 'me', password: key } } }),
    says: [`${inConnection}/auth/basic'`, 'more than one auth (keep one)'],
  },
  {
    why: 'no way to authenticate',
    values: connection({ auth: {} }),
    says: [`${inConnection}/auth'`, "missing property 'one auth: bearer, basic"],
  },
];

const tenants: readonly Row[] = [
  { why: 'a typo at the top', values: { tenant: {} }, says: ["'tenant' not allowed"] },
  { why: 'a typo in a spec', values: tenant({ quotas: {} }), says: [`${inTenant}'`, "'quotas' not allowed"] },
  { why: 'no namespace', values: { tenants: { acme: {} } }, says: [`${inTenant}'`, "missing property 'namespace'"] },
  {
    why: 'what must be there taken away',
    values: tenant({ namespace: null }),
    says: [`${inTenant}/namespace'`, 'got null, want object'],
  },
  {
    why: 'a role that does not exist',
    values: tenant({ members: [{ kind: 'Group', name: 'devs', role: 'Admin' }] }),
    says: [`${inTenant}/members/0/role'`, "one of 'Viewer', 'Operator', 'Editor'"],
  },
  {
    why: 'members as a map',
    values: tenant({ members: { devs: 'Editor' } }),
    says: [`${inTenant}/members'`, 'got object'],
  },
  {
    why: 'a port that does not exist',
    values: tenant({ network: { egress: { allow: [{ cidr: '10.0.0.0/8', ports: [70000] }] } } }),
    says: [`${inTenant}/network/egress/allow/0/ports/0'`, 'want 65,535'],
  },
  {
    why: 'a negative limit',
    values: tenant({ messaging: { streams: -1 } }),
    says: [`${inTenant}/messaging/streams'`, 'got -1, want 0'],
  },
  {
    why: 'a list of tenants, which would not merge',
    values: { tenants: [{ name: 'acme' }] },
    says: ["at '/tenants'", 'got array'],
  },
];

const refuses =
  (chart: ValuesChart) =>
  async ({ values, says }: Row) => {
    for (const [text, code] of [
      await template(chart, [values]).then(({ stderr, code }) => [stderr, code] as const),
      await lint(chart, [values]).then(({ stdout, stderr, code }) => [stdout + stderr, code] as const),
    ]) {
      expect(code).not.toBe(0);
      for (const expected of says) expect(text).toMatch(expected);
    }
  };

describe('kanava-integrations refuses', () => {
  it.each(integrations)('$why', refuses('kanava-integrations'));

  it('control: the values that these rows start from are taken', async () => {
    for (const values of [integration({}), connection({ auth: { bearer: key } })])
      expect(await template('kanava-integrations', [values])).toMatchObject({ code: 0 });
  });
});

describe('kanava-tenant refuses', () => {
  it.each(tenants)('$why', refuses('kanava-tenant'));

  it('control: the values that these rows start from are taken', async () => {
    expect(await template('kanava-tenant', [tenant({})])).toMatchObject({ code: 0 });
  });
});

describe('what the API server refuses for its form, values refuse too', () => {
  const byForm = (refused as readonly { why: string; object: Rendered; rule?: string }[]).filter(
    // A map cannot have a name twice, and values have no object without a spec.
    ({ rule, object }) => rule !== undefined && rule !== 'FieldValueDuplicate' && object.spec,
  );

  it.each(byForm)('$why', async ({ object }) => {
    expect((await template(chartOf(object.kind), [valuesOf([object])])).code).not.toBe(0);
  });

  it('these are many', () => expect(byForm.length).toBeGreaterThan(12));
});
