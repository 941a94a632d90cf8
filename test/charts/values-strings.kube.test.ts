import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { array, assert, asyncProperty, constantFrom, oneof, string } from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubeApi } from '../cluster/kube-api.ts';
import { mustKubectl } from '../cluster/kubectl.ts';
import { borrowServer } from '../operator/api/shared-server.ts';
import { chartFolder, helmWith, objectsIn, schemaOf, template, type ValuesChart, valuesOf } from './values-charts.ts';

/*
 * Whatever a string in values holds, the object has that string and nothing else: no second document, no other field, no template.
 * Every place of the schema that takes a string gets one, keys of maps too; the schema itself is off, since it would refuse most.
 */
let api: KubeApi;
beforeAll(async () => {
  api = await borrowServer();
});
afterAll(() => api.stop());

interface Schema {
  readonly $ref?: string;
  readonly $defs?: Record<string, Schema>;
  readonly type?: string | string[];
  readonly properties?: Record<string, Schema>;
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
}

/** A value with everything that a schema knows. */
const fullValue = (root: Schema, { text, key }: Supply): unknown => {
  const of = (schema: Schema): unknown => {
    if (schema.$ref) return of(root.$defs?.[schema.$ref.replace('#/$defs/', '')] as Schema);
    const { type, properties, additionalProperties, items } = schema;
    const types = [type].flat().filter((name) => name !== 'null');
    if (properties) return Object.fromEntries(Object.entries(properties).map(([name, part]) => [name, of(part)]));
    if (typeof additionalProperties === 'object')
      return Object.fromEntries([1, 2].map(() => [key(), of(additionalProperties)]));
    if (items) return [of(items), of(items)];
    if (types.includes('string')) return text();
    if (types.includes('integer')) return 7;
    if (types.includes('boolean')) return false;
    // Free JSON.
    return { [key()]: [text(), null, { [key()]: text() }, [[text()]]] };
  };
  return of(root);
};

const nasty = [
  '',
  ' ',
  '~',
  'null',
  'yes',
  '1e3',
  '0x1f',
  '2026-01-01',
  '.inf',
  '- a',
  'a: b',
  'a #b',
  '# b',
  '{{ .Release.Name }}',
  '{{',
  '}}"',
  '"',
  "'",
  '\\',
  '\\n',
  '\n---\napiVersion: v1\nkind: Secret\n',
  '\n...\n',
  '--- ',
  '<<',
  '*a',
  '&a',
  '!!binary x',
  '%YAML 1.2',
  '|\n  x',
  '>-',
  '@',
  '`',
  '\t',
  '\r\n',
  ' x ',
  '\u0000\u0007\u001b',
  '\u007f',
  '\u0085',
  '\u00a0',
  '\u2028\u2029',
  '\ufeff',
  '\ufffe\uffff',
  '\ud83d\ude00',
  '<script>&amp;</script>',
  '$(x) ${x}',
  'x'.repeat(3000),
];
const anyString = oneof(
  { weight: 2, arbitrary: constantFrom(...nasty) },
  { weight: 3, arbitrary: string({ unit: 'binary', maxLength: 40 }) },
  {
    weight: 2,
    arbitrary: array(constantFrom(...nasty, 'a', '\n', '  '), { maxLength: 5 }).map((all) => all.join('')),
  },
);

/** Strings for the places of one value. As a key each is used once, so that no two keys are one. */
interface Supply {
  readonly text: () => string;
  readonly key: () => string;
}
const supply = (strings: readonly string[]) => {
  let used = 0;
  const keys = new Set<string>();
  const text = () => strings[used++ % strings.length] as string;
  const key = () => {
    // YAML readers end a key after 1024 characters.
    const wanted = text().slice(0, 400);
    const free = keys.has(wanted) ? `${used}${wanted}` : wanted;
    keys.add(free);
    return free;
  };
  return { text, key, used: () => used };
};

interface Values {
  readonly [field: string]: Record<string, { metadata?: Record<string, unknown> } & Record<string, unknown>>;
}
const kindOf: Readonly<Record<string, string>> = {
  tenants: 'Tenant',
  connections: 'Connection',
  integrations: 'Integration',
};

/** Kind, name, labels, annotations and the spec in the form of values. */
const inValues = (values: Values) =>
  Object.entries(values).flatMap(([field, entries]) =>
    Object.entries(entries).map(([name, { metadata = {}, ...spec }]) => ({
      kind: kindOf[field],
      name,
      metadata,
      spec,
    })),
  );
const inObjects = (yaml: string) =>
  objectsIn(yaml).map((object) => {
    const { kind, metadata, spec } = object;
    const [entries = {}] = Object.values(valuesOf([object]) as Record<string, Record<string, unknown>>);
    const { annotations, labels } = metadata as { labels: Record<string, string>; annotations?: unknown };
    const own = Object.entries(labels).filter(([key]) => !/^(app[.]kubernetes[.]io\/|helm[.]sh\/)/.test(key));
    expect(Object.keys(spec).length).toBeGreaterThan(0);
    return {
      kind,
      name: metadata.name,
      metadata: { labels: Object.fromEntries(own), annotations },
      spec: entries[metadata.name],
    };
  });
const sorted = <T extends { kind: string | undefined; name: string }>(objects: T[]): T[] =>
  objects.toSorted((a, b) => (`${a.kind} ${a.name}` < `${b.kind} ${b.name}` ? -1 : 1));

describe.each(['kanava-tenant', 'kanava-integrations'] as const)('%s', (chart: ValuesChart) => {
  const { global: _, ...properties } = (schemaOf(chart) as { properties: Record<string, Schema> }).properties;
  const root = { ...(schemaOf(chart) as Schema), properties };

  it('every string comes out as it went in', async () => {
    let strings = 0;
    await assert(
      asyncProperty(array(anyString, { minLength: 60, maxLength: 120 }), async (given) => {
        const from = supply(given);
        const values = fullValue(root, from) as Values;
        const { stdout, stderr, code } = await template(chart, [values], '--skip-schema-validation');
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
        expect(sorted(inObjects(stdout))).toEqual(sorted(inValues(values)));
        strings += from.used();
      }),
      { numRuns: 12 },
    );
    expect(strings).toBeGreaterThan(200);
  });

  it('and Kubernetes reads them alike', async () => {
    const from = supply(nasty);
    const values = fullValue(root, from) as Values;
    const { stdout } = await template(chart, [values], '--skip-schema-validation');
    // Without schemas and without storing: only what the reader of YAML makes of it.
    const read = await mustKubectl(
      api.kubectl,
      ['create', '--dry-run=client', '--validate=false', '-o', 'json', '-f', '-'],
      { stdin: stdout },
    );
    const objects = read.split(/^(?=[{])/m).map((text) => JSON.parse(text) as unknown);
    expect(objects).toEqual(objectsIn(stdout));
  });
});

describe('control: with another way to write a string', () => {
  const written = async (how: string, text: string) => {
    const copy = await mkdtemp(join(tmpdir(), 'kanava-chart-'));
    try {
      await cp(chartFolder('kanava-integrations'), copy, { recursive: true });
      const file = join(copy, 'templates/_value.tpl');
      const good = await readFile(file, 'utf8');
      expect(good).toContain('{{- quote . -}}');
      await writeFile(file, good.replace('{{- quote . -}}', how));
      const values = { connections: { erp: { http: { url: text } } } };
      const { stdout } = await helmWith([values], ['template', 'shop', copy, '--skip-schema-validation']);
      return objectsIn(stdout);
    } finally {
      await rm(copy, { recursive: true });
    }
  };
  const specs = (url: unknown) => [expect.objectContaining({ spec: { http: { url } } })];

  it('bare: another type', async () => {
    expect(await written('{{- . -}}', 'yes')).toEqual(specs('yes'));
    expect(await written('{{- . -}}', '1e3')).not.toEqual(specs('1e3'));
  });
  it('bare: another field', async () => {
    const text = 'x\ntls: {serverName: other}';
    expect(await written('{{- . -}}', text)).toMatchObject([{ spec: { http: { tls: { serverName: 'other' } } } }]);
  });
  it('as JSON: no object at all', async () => {
    expect(await written('{{- quote . -}}', 'x\u007f')).toEqual(specs('x\u007f'));
    expect(await written('{{- toJson . -}}', 'x\u007f')).toEqual([]);
  });
});

it('both charts write values the same way', async () => {
  const [tenant, integrations] = await Promise.all(
    (['kanava-tenant', 'kanava-integrations'] as const).map((chart) =>
      readFile(join(chartFolder(chart), 'templates/_value.tpl'), 'utf8'),
    ),
  );
  expect(tenant).toBe(integrations);
});
