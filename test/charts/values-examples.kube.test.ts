import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load, loadAll } from 'js-yaml';
import { expect, it } from 'vitest';
import { chartOf, type Rendered, render } from './values-charts.ts';

/* The values that the demo installs are the objects of examples/order-events, and stay so. */
const root = join(import.meta.dirname, '../..');
const folder = join(root, 'examples/order-events');
const objects = readdirSync(folder)
  .filter((name) => name.endsWith('.yaml'))
  .flatMap((name) => loadAll(readFileSync(join(folder, name), 'utf8')) as Rendered[]);

const byName = (list: readonly Rendered[]) =>
  Object.fromEntries(list.map(({ kind, metadata, spec }) => [`${kind} ${metadata.name}`, spec]));

it.each(['kanava-tenant', 'kanava-integrations'] as const)('%s renders the example from its values', async (chart) => {
  const values = load(readFileSync(join(root, 'charts', chart, 'examples/order-events.yaml'), 'utf8'));
  const wanted = objects.filter(({ kind }) => chartOf(kind) === chart);
  expect(wanted.length).toBeGreaterThan(0);
  expect(byName(await render(chart, [values]))).toEqual(byName(wanted));
});
