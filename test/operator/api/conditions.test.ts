import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { catalogue, conditionTypes, type ReasonEntry } from '../../../operator/api/conditions.ts';

const rows: readonly ReasonEntry[] = catalogue;

test('a kind has one entry for a type, status and reason', () => {
  const ids = rows.flatMap(({ kinds, type, status, reason }) =>
    kinds.map((kind) => [kind, type, status, reason].join(' ')),
  );
  expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
});

test('reasons are one CamelCase word, texts are sentences', () => {
  for (const { reason, means, action } of rows) {
    expect(reason).toMatch(/^[A-Z][A-Za-z0-9]{2,62}$/);
    expect(means).toMatch(/^([A-Z]|spec\.).*\.$/);
    if (action !== undefined) expect(action).toMatch(/^[A-Z].*\.$/);
  }
});

test('whoever must act is told how', () => {
  // Ready=False and Reconciling=False point to Stalled, which says it; the others are states that a user asked for or waits through.
  const asked = new Set([
    'Stalled',
    'UpToDate',
    'Suspended',
    'ScaledToZero',
    'NotDeployed',
    'NotSuspended',
    'None',
    'Progressing',
  ]);
  const silent = rows.filter(
    ({ status, reason, action }) => status === 'False' && !asked.has(reason) && action === undefined,
  );
  expect(silent).toEqual([]);
  expect(rows.filter(({ type, status, action }) => type === 'Stalled' && status === 'True' && !action)).toEqual([]);
});

test.each([
  {
    kind: 'Integration',
    types: 'Ready Reconciling Stalled Accepted ConnectionsReady MessagingReady Available Active Suspended DeadLetters',
  },
  { kind: 'Connection', types: 'Ready SecretsResolved' },
  { kind: 'Tenant', types: 'Ready NamespaceReady PoliciesReady MessagingReady CapacityOk Durable Suspended' },
] as const)('$kind has the conditions of the design', ({ kind, types }) => {
  expect(conditionTypes(kind)).toEqual(expect.arrayContaining(types.split(' ')));
});

test('a status has room for all conditions of a kind', () => {
  for (const kind of ['Tenant', 'Connection', 'Integration'] as const)
    expect(conditionTypes(kind).length).toBeLessThanOrEqual(16);
});

const folders = ['plan', 'reconcile', 'api'].map((name) =>
  join(import.meta.dirname, '..', '..', '..', 'operator', name),
);
const sources = folders
  .flatMap((folder) => readdirSync(folder).map((file) => join(folder, file)))
  .filter((file) => !file.endsWith(join('api', 'conditions.ts')))
  .map((file) => readFileSync(file, 'utf8'))
  .join('\n');

test('no reason is documented that nothing gives', () => {
  expect([...new Set(rows.map(({ reason }) => reason))].filter((reason) => !sources.includes(`'${reason}'`))).toEqual(
    [],
  );
});

test('no reason is given that is not documented with its status', () => {
  const given = [...sources.matchAll(/verdict\(\s*'(\w+)',\s*'(\w+)',\s*'(\w+)'/g)].map(([, ...row]) => row.join(' '));
  const known = new Set(rows.map(({ type, status, reason }) => [type, status, reason].join(' ')));
  expect(given.length).toBeGreaterThan(30);
  expect(given.filter((row) => !known.has(row))).toEqual([]);
});
