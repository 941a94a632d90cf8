import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { allPassed, testText } from '../../../cli/local/test-report.ts';
import { runTests } from '../../../cli/local/test-run.ts';

/* Steps that ask other systems are answered by the mocks of a test, repeats too. */
const folder = mkdtempSync(join(tmpdir(), 'kanava-test-'));
afterAll(() => rmSync(folder, { recursive: true }));
const crm = 'connectionRef: {name: crm}';

it('call and lookup get the answers of mocks, and are seen in calls', async () => {
  writeFileSync(
    join(folder, 'orders.yaml'),
    `apiVersion: kanava.dev/v1alpha1
kind: Connection
metadata: {name: crm}
spec: {http: {url: "https://crm.example.com/api"}}
---
apiVersion: kanava.dev/v1alpha1
kind: Integration
metadata: {name: orders}
spec:
  sources: [{name: web, http: {path: /orders}}]
  steps:
    - {name: who, call: {as: customer, http: {${crm}, path: "/customers/{id}", values: {id: =body.customer}}}}
    - {name: land, lookup: {as: country, http: {${crm}, path: /countries, query: {code: =vars.customer.country}}, cache: {for: 1h}}}
    - {name: shape, map: {body: {name: =vars.customer.name, country: =vars.country.name}}}
  sinks: [{name: out, bus: {type: order.known}}]
`,
  );
  const file = join(folder, 'orders.test.yaml');
  writeFileSync(
    file,
    `mocks:
  crm: [{status: 503}, {status: 200, body: {name: Ada, country: FI}}, {status: 200, body: {name: Suomi}}]
cases:
  - name: enriched
    given: [{body: {customer: 7}}]
    expect:
      sinks: {out: [{body: {name: Ada, country: Suomi}}]}
      calls: {crm: [{path: /api/customers/7}, {path: /api/customers/7}, {path: "/api/countries?code=FI"}]}
`,
  );
  const results = await runTests([file]);
  expect(allPassed(results), testText(results)).toBe(true);
});
