import { expect, test } from 'vitest';
import type { SchemaNode } from '../../../operator/api/openapi.ts';
import { referencesIn, referencesOfConnection, referencesOfIntegration } from '../../../operator/api/references.ts';
import { connection, filter, http, httpSink, integration, map, secretKeyRef } from '../../build.ts';

test('an Integration names Secrets and Connections', () => {
  const { spec } = integration({
    sources: [http({ auth: { basic: { username: 'u', password: secretKeyRef('shop', 'password') } } })],
    steps: [filter('true')],
    sinks: [httpSink(), httpSink({ connectionRef: { name: 'crm' } }, 'crm')],
  });
  expect(referencesOfIntegration(spec)).toEqual({
    secrets: [{ path: 'spec.sources[0].http.auth.basic.password.secretKeyRef', name: 'shop', key: 'password' }],
    connections: [
      { path: 'spec.sinks[0].http.connectionRef', system: 'http', name: 'erp' },
      { path: 'spec.sinks[1].http.connectionRef', system: 'http', name: 'crm' },
    ],
    cas: [],
    flows: [],
  });
});

test('data that looks like a reference is data', () => {
  const body = { secretKeyRef: { name: 'a', key: 'b' }, connectionRef: { name: 'x' }, caRef: { name: 'y' } };
  expect(referencesOfIntegration(integration({ steps: [map(body)] }).spec)).toEqual({
    secrets: [],
    connections: [],
    cas: [],
    flows: [],
  });
});

test('a Connection names Secrets and CAs', () => {
  const caRef = { kind: 'ConfigMap', name: 'erp-ca', key: 'ca.crt' } as const;
  const { spec } = connection({
    http: { url: 'https://erp.example.com', auth: { bearer: secretKeyRef('erp', 'token') }, tls: { caRef } },
  });
  expect(referencesOfConnection(spec)).toMatchObject({
    secrets: [{ path: 'spec.http.auth.bearer.secretKeyRef', name: 'erp', key: 'token' }],
    cas: [{ path: 'spec.http.tls.caRef', ...caRef }],
  });
});

test('flows are found by the mark of the field', () => {
  const schema: SchemaNode = { properties: { cases: { items: { properties: { flow: { 'x-kanava-flow': true } } } } } };
  const value = { cases: [{ flow: 'bulk' }, { flow: 'single' }] };
  expect(referencesIn(schema, value, ['spec']).flows).toEqual([
    { path: ['spec', 'cases', 0, 'flow'], name: 'bulk' },
    { path: ['spec', 'cases', 1, 'flow'], name: 'single' },
  ]);
});
