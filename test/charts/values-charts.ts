import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { load, loadAll } from 'js-yaml';
import { ensureBinary } from '../cluster/binaries.ts';
import { type CommandResult, run } from '../cluster/command.ts';

/* Helm on the charts whose values are Tenants, Connections and Integrations. */
const charts = join(import.meta.dirname, '../../charts');
export type ValuesChart = 'kanava-tenant' | 'kanava-integrations';
export const chartFolder = (chart: ValuesChart): string => join(charts, chart);
export const chartOf = (kind: string): ValuesChart => (kind === 'Tenant' ? 'kanava-tenant' : 'kanava-integrations');

export interface Rendered {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels: Record<string, string> };
  readonly spec: Record<string, unknown>;
}

/** Text that YAML takes for the same value, whatever characters it has: JSON's surrogate pairs are not YAML's. */
export const valuesText = (values: unknown): string =>
  JSON.stringify(values).replace(
    /[^\n\u0020-\u007e]/gu,
    (char) => `\\U${(char.codePointAt(0) as number).toString(16).padStart(8, '0')}`,
  );

/** For what waits until something is ready, on a machine that runs everything at once. */
const helmMs = 240_000;

/** `helm <args>` with values files in this order. */
export const helmWith = async (files: readonly unknown[], args: readonly string[]): Promise<CommandResult> => {
  const dir = await mkdtemp(join(tmpdir(), 'kanava-values-'));
  try {
    const paths = files.map((_, index) => join(dir, `${index}.yaml`));
    await Promise.all(files.map((values, index) => writeFile(paths[index] as string, valuesText(values))));
    const values = paths.flatMap((path) => ['--values', path]);
    return await run(await ensureBinary('helm'), [...args, ...values], {
      env: { HELM_NO_PLUGINS: '1' },
      timeout: helmMs,
    });
  } finally {
    await rm(dir, { recursive: true });
  }
};

export const template = (
  chart: ValuesChart,
  files: readonly unknown[],
  ...args: readonly string[]
): Promise<CommandResult> => helmWith(files, ['template', 'shop', chartFolder(chart), '--namespace', 'acme', ...args]);
export const lint = (chart: ValuesChart, files: readonly unknown[]): Promise<CommandResult> =>
  helmWith(files, ['lint', '--strict', chartFolder(chart)]);

export const objectsIn = (yaml: string): Rendered[] =>
  (loadAll(yaml) as (Rendered | null)[]).filter((object) => object !== null);

export const render = async (
  chart: ValuesChart,
  files: readonly unknown[],
  ...args: readonly string[]
): Promise<Rendered[]> => {
  const { code, stdout, stderr } = await template(chart, files, ...args);
  if (code !== 0) throw new Error(`helm template ${chart} failed: ${stderr}`);
  return objectsIn(stdout);
};

export const schemaOf = (chart: ValuesChart): unknown =>
  JSON.parse(readFileSync(join(chartFolder(chart), 'values.schema.json'), 'utf8'));

/** The values files that the chart's README shows, by name. */
export const readmeFiles = (chart: ValuesChart): Record<string, unknown> => {
  const text = readFileSync(join(chartFolder(chart), 'README.md'), 'utf8');
  const found = text.matchAll(/<!-- (\S+) -->\n```yaml\n([^]*?)```/g);
  return Object.fromEntries([...found].map(([, name, yaml]) => [name, load(yaml as string)]));
};

const fieldOf: Readonly<Record<string, string>> = {
  Tenant: 'tenants',
  Connection: 'connections',
  Integration: 'integrations',
};

/** An object with what a chart does not read left out, as values: lists of named items are maps there. */
export const valuesOf = (objects: readonly Pick<Rendered, 'kind' | 'metadata' | 'spec'>[]): unknown => {
  const values: Record<string, Record<string, unknown>> = {};
  for (const { kind, metadata, spec } of objects) {
    const entries = Object.entries(spec).map(([field, value]) => [field, mapped(kind, field, value)] as const);
    (values[fieldOf[kind] as string] ??= {})[metadata.name] = Object.fromEntries(entries);
  }
  return values;
};

const mapped = (kind: string, field: string, value: unknown): unknown => {
  if (kind !== 'Integration' || !['sources', 'flows', 'sinks'].includes(field) || !Array.isArray(value)) return value;
  const items = value as { name: string }[];
  return Object.fromEntries(items.map(({ name, ...item }) => [name, item]));
};
