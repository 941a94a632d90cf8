import { expect, test } from 'vitest';
import { parseConnection, parseIntegration, parseTenant } from '../../../operator/api/parse.ts';
import { connection, filter, http, httpSink, integration, map, tenant } from '../../build.ts';
import { accepted } from './accepted.ts';
import { refused } from './refused.ts';

const parsers = { Integration: parseIntegration, Connection: parseConnection, Tenant: parseTenant };
const parse = (object: unknown) => parsers[(object as { kind: keyof typeof parsers }).kind](object);

test.each(accepted)('takes $why', ({ object }) => {
  expect(parse(object)).toMatchObject({ ok: true, value: { spec: (object as { spec: object }).spec } });
});

test.each(refused)('refuses: $why', ({ object, path, text }) => {
  const parsed = parse(object);
  if (parsed.ok) throw new Error('it was taken');
  expect(parsed.findings.map((finding) => finding.path)).toContain(path);
  if (text) expect(parsed.findings.map(({ message }) => message)).toContain(text);
});

/** The API server stores these: only operator and CLI see what is wrong. */
const beyond = [
  {
    why: 'a source and a sink share dead-letter subjects and metrics',
    object: integration({ sources: [http({}, 'shop')], sinks: [httpSink({}, 'shop')] }),
    reason: 'DuplicateName',
    path: 'spec.sinks[0].name',
    message: '"shop" is the name of spec.sources[0] already; choose another',
  },
  {
    why: 'a step of a flow is named like a step outside',
    object: integration({ steps: [filter('true', 'a')], flows: [{ name: 'f', steps: [filter('true', 'a')] }] }),
    reason: 'DuplicateName',
    path: 'spec.flows[0].steps[0].name',
    message: '"a" is the name of spec.steps[0] already; choose another',
  },
  {
    why: 'two sources on one path cannot be told apart',
    object: integration({ sources: [http({ path: '/x' }, 'a'), http({ path: '/x' }, 'b')] }),
    reason: 'DuplicatePath',
    path: 'spec.sources[1].http',
    message: 'source "a" listens on /x already; give each source its own path',
  },
  {
    why: 'a CEL field that is none',
    object: integration({ steps: [filter('body.total >', 'a')] }),
    reason: 'InvalidExpression',
    path: 'spec.steps[0].filter.when',
  },
  {
    why: 'CEL deep in a value tree',
    object: integration({ steps: [map({ lines: [{ id: '=body.' }] })] }),
    reason: 'InvalidExpression',
    path: 'spec.steps[0].map.body.lines[0].id',
  },
  {
    why: 'the key of an order',
    object: integration({ delivery: { ordering: 'Key', key: '(((' } }),
    reason: 'InvalidExpression',
    path: 'spec.delivery.key',
  },
  {
    why: 'YAML 1.1 made a boolean of the key `on`',
    object: integration({ steps: [map({ switch: [{ true: 1 }] })] }),
    reason: 'AmbiguousKey',
    path: 'spec.steps[0].map.body.switch[0].true',
  },
  {
    why: 'a field that is set to a broken expression',
    object: integration({ steps: [{ name: 'more', set: { body: { a: { b: '=1 +' } } } }] }),
    reason: 'InvalidExpression',
    path: 'spec.steps[0].set.body.a.b',
  },
  {
    why: 'a JSON Schema with a typing mistake would let everything pass',
    object: integration({
      steps: [{ name: 'valid', validate: { schema: { properties: { id: { typ: 'string' } } } } }],
    }),
    reason: 'InvalidSchema',
    path: 'spec.steps[0].validate.schema.properties.id.typ',
  },
  {
    why: 'nor does a flow fetch a schema',
    object: integration({ flows: [{ name: 'f', steps: [{ name: 'a', validate: { schema: { $ref: 'http://x' } } }] }] }),
    reason: 'InvalidSchema',
    path: 'spec.flows[0].steps[0].validate.schema.$ref',
    message: 'must refer to this schema itself, such as #/$defs/address: nothing is fetched',
  },
  {
    why: 'the same in a map of labels, from `n`',
    object: integration({ podSettings: { nodeSelector: { false: 'x' } } }),
    reason: 'AmbiguousKey',
    path: 'spec.podSettings.nodeSelector.false',
  },
] as const;

test.each(beyond)('finds: $why', ({ object, reason, path, ...text }) => {
  const parsed = parse(object);
  if (parsed.ok) throw new Error('it was taken');
  expect(parsed.finding).toMatchObject({ reason, path, ...('message' in text ? { message: text.message } : {}) });
  expect(parsed.finding.message).not.toBe('');
});

test('names every mistake, not only the first', () => {
  const parsed = parseIntegration(
    integration({
      sources: [{ name: 'in' }],
      delivery: { timeout: 'soon', ordering: 'Key' },
      scaling: { mode: 'Manual' },
    }),
  );
  expect(parsed.ok ? [] : parsed.findings.map(({ path }) => path).sort()).toEqual([
    'spec.delivery',
    'spec.delivery.timeout',
    'spec.scaling.replicas',
    'spec.sources[0]',
  ]);
});

test('says which fields there are where one is not known', () => {
  const object = integration({ inbox: { size: '1Gi' } as never });
  expect(parseIntegration(object)).toMatchObject({
    finding: {
      path: 'spec.inbox.size',
      message: 'is not a field; there are: maxBytes, storage, replicas, largeBodies',
    },
  });
});

const hostile: readonly unknown[] = [
  undefined,
  null,
  [],
  'text',
  7,
  {},
  { kind: 'Integration' },
  { ...integration(), spec: null },
  { ...integration(), spec: [] },
  { ...integration(), metadata: null },
  integration({ sources: 'x' as never }),
  integration({ sources: [null] as never }),
  integration({ steps: [[]] as never }),
  integration({ sources: [http()], delivery: { retry: { backoff: { initial: 7 as never } } } }),
  integration({ inbox: { maxBytes: {} as never } }),
  integration({ inbox: null as never, scaling: null as never }),
  JSON.parse(
    '{"apiVersion":"kanava.dev/v1alpha1","kind":"Integration","metadata":{"name":"x"},"spec":{"__proto__":{}}}',
  ),
];
test.each(hostile.map((object, index) => ({ index, object })))('never throws: $index', ({ object }) => {
  for (const parse of Object.values(parsers)) {
    const parsed = parse(object);
    if (parsed.ok) throw new Error('it was taken');
    expect(parsed.finding.message).not.toBe('');
    expect(parsed.findings[0]).toBe(parsed.finding);
  }
});

test('a name is a DNS label of at most 40 characters', () => {
  for (const name of ['n'.repeat(41), 'a.b', 'Orders', '-a', '']) {
    const parsed = parseIntegration(integration({}, { name }));
    expect(parsed, name).toMatchObject({ ok: false, finding: { path: 'metadata.name' } });
  }
});

test('status and what the API server adds to metadata is not looked at', () => {
  const stored = { ...integration(), status: { anything: 1 } };
  const metadata = { ...stored.metadata, managedFields: [{}], uid: 'u', generation: 3, resourceVersion: '7' };
  const parsed = parseIntegration({ ...stored, metadata });
  expect(parsed).toMatchObject({ ok: true, value: { metadata: { uid: 'u', generation: 3 } } });
});

test('other kinds are refused, so that a mixed-up key cannot be reconciled', () => {
  expect(parseIntegration(connection())).toMatchObject({ ok: false, finding: { path: 'kind' } });
  expect(parseConnection(tenant())).toMatchObject({ ok: false, finding: { path: 'kind' } });
  expect(parseTenant(integration())).toMatchObject({ ok: false, finding: { path: 'kind' } });
});
