import { readFileSync } from 'node:fs';
import { dump } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { type CheckOptions, checkSources } from '../../cli/check.ts';
import { busSink, connection, http, httpSink, integration, secretKeyRef, tenant } from '../build.ts';
import { badFolder } from '../examples/bad-examples.ts';
import { kanava } from './kanava.ts';

const options: CheckOptions = { namespace: '', strict: false, operatorNamespace: 'kanava-system', closedRanges: [] };
const checked = (objects: readonly unknown[], changes: Partial<CheckOptions> = {}) =>
  checkSources([{ name: 'x.yaml', text: objects.map((one) => dump(one)).join('---\n'), named: true }], {
    ...options,
    ...changes,
  }).findings.map(({ severity, rule }) => `${severity} ${rule}`);
const erpSecret = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'erp', namespace: 'acme' },
  stringData: { token: 'x' },
};
const toErp = integration({ sinks: [httpSink({ idempotent: true })] });
const withToken = connection({
  http: { url: 'https://erp.example.com', auth: { bearer: secretKeyRef('erp', 'token') } },
});

describe('what is not in the files may be in the cluster', () => {
  it.each([
    ['all is there', [tenant(), erpSecret, withToken, toErp], []],
    ['no Connection', [toErp], ['warning ConnectionMissing']],
    ['no Secret: said once, at the Connection', [withToken, toErp], ['warning SecretMissing']],
    [
      'two Secrets: each is said',
      [
        integration({
          sources: [
            http({ auth: { bearer: secretKeyRef('a', 'k') } }, 'a'),
            http({ auth: { bearer: secretKeyRef('b', 'k') } }, 'b'),
          ],
        }),
      ],
      ['warning SecretMissing', 'warning SecretMissing'],
    ],
    ['a Secret without the key is sure', [{ ...erpSecret, stringData: {} }, withToken], ['error SecretMissing']],
    ['no Tenant at all: nothing is known of it', [integration()], []],
    ['other Tenants only', [tenant({ namespace: { name: 'x' } }, { name: 'x' }), integration()], ['warning NoTenant']],
    [
      'pod settings without a Tenant',
      [integration({ podSettings: { priorityClassName: 'high', tolerations: [{ operator: 'Exists' }] } })],
      [],
    ],
    [
      'an address that the default ceiling closes',
      [connection({ http: { url: 'http://10.1.2.3' } })],
      ['warning EgressDenied'],
    ],
  ])('%s', (_, objects, said) => expect(checked(objects)).toEqual(said));

  it('unless asked to be strict', () => {
    expect(checked([toErp], { strict: true })).toEqual(['error ConnectionMissing']);
  });
});

describe('a repeat that may take effect twice is worth a look, and no mistake', () => {
  const to = (config: Parameters<typeof httpSink>[0], sources = [http()]) => [
    connection(),
    integration({ sources, sinks: [httpSink(config)] }),
  ];
  it.each([
    ['POST', to({}), ['warning NotIdempotent']],
    ['PATCH', to({ method: 'PATCH' }), ['warning NotIdempotent']],
    ['PUT', to({ method: 'PUT' }), []],
    ['a server that drops repeats', to({ idempotent: true }), []],
    ['a PUT that is none', to({ method: 'PUT', idempotent: false }), ['warning NotIdempotent']],
    ['the bus', [integration({ sinks: [busSink()] })], []],
    ['requests that are answered: who asks decides', to({}, [http({ reply: {} })]), []],
    ['some of them', to({}, [http({ reply: {} }, 'a'), http({}, 'b')]), ['warning NotIdempotent']],
  ])('%s', (_, objects, said) => {
    expect(checked(objects)).toEqual(said);
    expect(checked(objects, { strict: true }), 'however strict').toEqual(said);
  });

  it('is said with a place and what helps, and ends with 0', async () => {
    const stdin = to({})
      .map((one) => dump(one))
      .join('---\n');
    const { code, stdout } = await kanava(['check', '-'], { stdin });
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/^stdin:\d+:\d+: warning: spec\.sinks\[0\]\.http: a POST that is repeated/),
    ]);
    expect(stdout).toContain('http.idempotent: true');
    const { findings } = JSON.parse((await kanava(['check', '-', '-o', 'json'], { stdin })).stdout);
    expect(findings).toMatchObject([{ severity: 'warning', rule: 'NotIdempotent', path: 'spec.sinks[0].http' }]);
  });
});

describe('namespaces', () => {
  const { metadata: _, ...rest } = connection();
  const nowhere = { ...rest, metadata: { name: 'erp' } };
  it('of objects that name none are the one given', () => {
    expect(checked([nowhere, toErp])).toEqual(['warning ConnectionMissing']);
    expect(checked([nowhere, toErp], { namespace: 'acme' })).toEqual([]);
  });
  it("of the operator are no Tenant's", () => {
    expect(checked([tenant({ namespace: { name: 'ops' } })], { operatorNamespace: 'ops' })).toEqual([
      'error NamespaceReserved',
    ]);
  });
});

it('closes the ranges of the cluster that it is told', () => {
  const objects = [tenant(), connection({ http: { url: 'http://100.200.1.1' } })];
  expect(checked(objects)).toEqual([]);
  expect(checked(objects, { closedRanges: ['100.200.0.0/16'] })).toEqual(['error EgressDenied']);
});

it('counts Integrations against the quota of the Tenant', () => {
  const many = ['a', 'b', 'c'].map((name) => integration({}, { name }));
  expect(checked([tenant({ quota: { integrations: 2 } }), ...many])).toEqual(['error QuotaExceeded']);
});

it('takes the same object in two files for two clusters, in one file for a mistake', () => {
  const sources = ['dev', 'prod'].map((name) => ({ name, text: dump(integration()), named: true }));
  expect(checkSources(sources, options).findings).toMatchObject([{ severity: 'warning', rule: 'DuplicateObject' }]);
  expect(checked([integration(), integration()])).toEqual(['error DuplicateObject']);
});

it('says nothing of the Tenant of an object without a namespace', () => {
  const { metadata: _, ...rest } = integration();
  expect(checked([tenant(), { ...rest, metadata: { name: 'orders' } }])).toEqual([]);
});

it('looks into lists', () => {
  const list = { apiVersion: 'v1', kind: 'List', items: [connection(), integration({ suspend: 'no' as never })] };
  const { findings, objects } = checkSources([{ name: 'x', text: dump(list), named: true }], options);
  expect(objects).toBe(2);
  expect(findings).toMatchObject([{ object: 'Integration acme/orders', path: 'spec.suspend', line: 22 }]);
});

describe('kanava check', () => {
  it('prints a line a finding that editors can follow, and ends with 1', async () => {
    const { code, stdout } = await kanava(['check', 'examples/bad/duration-zero.yaml']);
    expect(stdout.split('\n')).toEqual([
      'examples/bad/duration-zero.yaml:9:14: spec.delivery.timeout: write a duration such as 30s, 5m or 168h (units h, m, s, ms) (FieldValueInvalid)',
      '1 object in 1 file: 1 error, 0 warnings',
      '',
    ]);
    expect(code).toBe(1);
  });
  it('is content with the example of the demo, as a folder', async () => {
    const { code, stdout } = await kanava(['check', 'examples/github-issues']);
    expect([code, stdout.split('\n').at(-2)]).toEqual([0, '6 objects in 3 files: 0 errors, 6 warnings']);
  });
  it('reads the standard input, and says the same as JSON and YAML', async () => {
    const stdin = readFileSync(`${badFolder}/duration-zero.yaml`, 'utf8');
    const { code, stdout } = await kanava(['check', '-', '-o', 'json'], { stdin });
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      files: 1,
      objects: 1,
      findings: [{ file: 'stdin', line: 9, rule: 'FieldValueInvalid', reason: 'Invalid', severity: 'error' }],
    });
    expect((await kanava(['check', '-', '-o', 'yaml'], { stdin })).stdout).toContain('rule: FieldValueInvalid\n');
  });
  it.each([
    ['a file that is not there', ['check', 'examples/none.yaml'], 'examples/none.yaml: no such file or folder'],
    ['no file', ['check'], "missing required argument 'file'"],
    ['another form', ['check', '-', '-o', 'xml'], 'Allowed choices are text, json, yaml'],
    ['an unknown command', ['chekc'], "unknown command 'chekc'"],
  ])('ends with 2 for wrong usage: %s', async (_, args, message) => {
    const { code, stderr } = await kanava(args);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  });
  it('ends with 1 where nothing is to be checked: a wrong folder must not pass a pipeline', async () => {
    const { code, stdout } = await kanava(['check', 'crds']);
    expect([code, stdout]).toEqual([1, expect.stringContaining('no object of kanava.dev')]);
  });
});
