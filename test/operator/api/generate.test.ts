import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { generated } from '../../../operator/api/generate.ts';
import { structural } from '../../../operator/api/openapi.ts';
import { schemaFindings } from '../../../operator/api/schema-rules.ts';
import { catalog } from '../../../runtime/catalog.ts';
import { flag, oneOf, shape, text, textMap } from '../../../runtime/schema.ts';

const root = join(import.meta.dirname, '..', '..', '..');

test.each([...generated()])('%s is what the schemas say (else: npm run generate)', (path, content) => {
  expect(readFileSync(join(root, path), 'utf8') === content).toBe(true);
});

test('generating twice gives the same bytes', () => {
  expect([...generated()]).toEqual([...generated()]);
});

test('the chart has the same CRDs, and keeps them on uninstall', () => {
  const files = generated();
  const pairs = [...files.keys()].filter((path) => path.startsWith('charts/kanava/'));
  expect(pairs).toHaveLength(3);
  for (const path of pairs) {
    const template = files.get(path) as string;
    // Nothing else in a template is an action: what Helm renders is the text with its one escape undone.
    const rendered = load(template.replaceAll('{{ "{{" }}', '{{')) as {
      metadata: { annotations: Record<string, string> };
    };
    const { 'helm.sh/resource-policy': policy, ...annotations } = rendered.metadata.annotations;
    expect(policy).toBe('keep');
    const crd = load(files.get(path.replace('charts/kanava/templates/', '')) as string);
    expect({ ...rendered, metadata: { ...rendered.metadata, annotations } }).toEqual(crd);
    expect(template.replaceAll('{{ "{{" }}', '')).not.toContain('{{');
  }
});

test('--check shows the difference and the command that mends it', () => {
  const copy = mkdtempSync(join(tmpdir(), 'kanava-generate-test-'));
  try {
    for (const folder of ['operator', 'runtime', 'crds', 'charts', 'docs'])
      cpSync(join(root, folder), join(copy, folder), { recursive: true });
    for (const file of ['package.json']) cpSync(join(root, file), join(copy, file));
    spawnSync('ln', ['-s', join(root, 'node_modules'), join(copy, 'node_modules')]);
    const check = () =>
      spawnSync(process.execPath, ['operator/api/generate.ts', '--check'], { cwd: copy, encoding: 'utf8' });
    expect(check()).toMatchObject({ status: 0, stdout: '' });
    const path = join(copy, 'crds', 'tenants.kanava.dev.yaml');
    writeFileSync(path, readFileSync(path, 'utf8').replace('Name for people.', 'Something else.'));
    const { status, stdout } = check();
    expect(status).toBe(1);
    expect(stdout).toMatch(/^-.*Something else\.$/m);
    expect(stdout).toMatch(/^\+.*Name for people\.$/m);
    expect(stdout).toContain('npm run generate');
  } finally {
    rmSync(copy, { recursive: true });
  }
});

test('the editor schema has the long texts and refuses what the API refuses', () => {
  const schema = JSON.parse(generated().get('crds/integration.schema.json') as string) as {
    required: string[];
    properties: {
      spec: { properties: Record<string, { items?: { oneOf?: unknown; properties: Record<string, unknown> } }> };
    };
  };
  expect(schema.required).toEqual(['apiVersion', 'kind', 'metadata', 'spec']);
  const { sources } = schema.properties.spec.properties;
  expect(sources?.items?.oneOf).toEqual([...catalog.sources.keys()].map((name) => ({ required: [name] })));
  expect(JSON.stringify(sources)).toContain('Such as x-github-delivery.');
  expect(JSON.stringify(schema)).not.toContain('x-kanava');
});

/* The rules that every schema keeps, shown to bite. */
const wrong = [
  { why: 'a text for kubectl is short', schema: shape('x'.repeat(61), {}), found: /61 characters/ },
  { why: 'every field is described', schema: shape('A.', { a: z.string().max(1) }), found: /a has no description/ },
  { why: 'every string is bounded', schema: z.string().meta({ description: 'A.' }), found: /unbounded string/ },
  { why: 'every list is bounded', schema: z.array(flag('A.')).meta({ description: 'A.' }), found: /unbounded array/ },
  {
    why: 'every map is bounded',
    schema: z.record(z.string(), text('A.', 9)).meta({ description: 'A.' }),
    found: /unbounded object/,
  },
  { why: '`on` is a boolean in YAML 1.1', schema: shape('A.', { on: flag('A.') }), found: /\.on is a boolean/ },
  { why: 'so is a value `No`', schema: z.enum(['Yes', 'No']).meta({ description: 'A.' }), found: /the value No/ },
];
test.each(wrong)('a schema is refused: $why', ({ schema, found }) => {
  expect(schemaFindings(structural(schema), 'spec').join('\n')).toMatch(found);
});

test('a union is refused: a CRD cannot express it', () => {
  expect(() => structural(shape('A.', { a: z.union([flag('A.'), text('B.')]) }))).toThrow(/\.a: .*union/);
});

test('several keys of which one is set become two rules; CEL words are escaped', () => {
  const schema = structural(oneOf('way', 'A.', { in: textMap('A.', 1, 1), out: textMap('B.', 1, 1) }));
  expect(schema['x-kubernetes-validations']).toMatchObject([
    { rule: 'has(self.__in__) || has(self.out)', message: 'set one way: in, out' },
    { rule: '(has(self.__in__) ? 1 : 0) + (has(self.out) ? 1 : 0) <= 1' },
  ]);
});
