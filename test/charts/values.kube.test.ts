import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubeApi } from '../cluster/kube-api.ts';
import { mustKubectl } from '../cluster/kubectl.ts';
import { accepted } from '../operator/api/accepted.ts';
import { borrowServer } from '../operator/api/shared-server.ts';
import {
  chartFolder,
  chartOf,
  helmWith,
  lint,
  objectsIn,
  type Rendered,
  readmeFiles,
  render,
  template,
  type ValuesChart,
  valuesOf,
} from './values-charts.ts';

/* What the charts make of values, on a real API server: objects that it takes, with the specs that were meant. */
let api: KubeApi;
beforeAll(async () => {
  api = await borrowServer();
  await mustKubectl(api.kubectl, ['create', 'namespace', 'acme']);
});
afterAll(() => api.stop());

const dryRun = (yaml: string): Promise<string> =>
  mustKubectl(api.kubectl, ['apply', '--server-side', '--dry-run=server', '-o', 'json', '-f', '-'], { stdin: yaml });
const specOf = (objects: readonly Rendered[], name: string) =>
  objects.find(({ metadata }) => metadata.name === name)?.spec;

describe('what an object says, values say too', () => {
  it.each(accepted as { why: string; object: Rendered }[])('$why', async ({ object }) => {
    const chart = chartOf(object.kind);
    const { code, stdout, stderr } = await template(chart, [valuesOf([object])]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [rendered, ...more] = objectsIn(stdout);
    expect(more).toEqual([]);
    expect(rendered).toMatchObject({ kind: object.kind, metadata: { name: object.metadata.name } });
    expect(rendered?.metadata.namespace).toBe(object.kind === 'Tenant' ? undefined : 'acme');
    expect(rendered?.spec).toEqual(object.spec);
    await dryRun(stdout);
  });
});

describe.each(['kanava-tenant', 'kanava-integrations'] as const)('%s', (chart: ValuesChart) => {
  const files = Object.values(readmeFiles(chart));

  it('renders the example of its README for a real API server', async () => {
    expect(files).toHaveLength(2);
    for (const some of [files.slice(0, 1), files]) {
      const { stdout, code } = await template(chart, some);
      expect(code).toBe(0);
      await dryRun(stdout);
      expect(await lint(chart, some)).toMatchObject({ code: 0 });
    }
  });

  it('renders nothing from nothing, and helm lint finds nothing', async () => {
    expect(await render(chart, [])).toEqual([]);
    expect(await render(chart, [{ global: { anything: 1 } }])).toEqual([]);
    expect(await lint(chart, [])).toMatchObject({ code: 0 });
  });
});

describe('values files merge', () => {
  const base = {
    connections: {
      erp: {
        http: { url: 'https://staging.example.com', auth: { bearer: { secretKeyRef: { name: 'erp', key: 'a' } } } },
      },
      old: { http: { url: 'https://old.example.com' } },
    },
    integrations: {
      orders: {
        metadata: { labels: { team: 'shop', stage: 'test' } },
        sources: { shop: { http: { path: '/orders', type: 'order' } }, desk: { http: { path: '/desk' } } },
        steps: [{ name: 'shape', map: { body: { a: null, b: 1 } } }],
        flows: { bulk: { steps: [{ name: 'some', filter: { when: 'true' } }] } },
        sinks: {
          erp: { http: { connectionRef: { name: 'erp' } } },
          trial: { http: { connectionRef: { name: 'old' } } },
        },
        scaling: { maxReplicas: 3 },
      },
      trial: { sources: { in: { http: { path: '/in' } } } },
    },
  };

  it('by name, field by field', async () => {
    const production = {
      connections: { erp: { http: { url: 'https://example.com' } } },
      integrations: {
        orders: { sinks: { audit: { http: { connectionRef: { name: 'old' } } } }, inbox: { maxBytes: '1Gi' } },
        more: { sources: { in: { http: { path: '/in' } } } },
      },
    };
    const objects = await render('kanava-integrations', [base, production]);
    expect(objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
      'Connection erp',
      'Connection old',
      'Integration more',
      'Integration orders',
      'Integration trial',
    ]);
    expect(specOf(objects, 'erp')).toEqual({
      http: { url: 'https://example.com', auth: { bearer: { secretKeyRef: { name: 'erp', key: 'a' } } } },
    });
    expect(specOf(objects, 'orders')).toMatchObject({
      sinks: [{ name: 'audit' }, { name: 'erp' }, { name: 'trial' }],
      inbox: { maxBytes: '1Gi' },
      scaling: { maxReplicas: 3 },
    });
  });

  it('null takes away: an object, a list item, a field, a label; in lists it is data', async () => {
    const production = {
      connections: { old: null, erp: { http: { auth: null } } },
      integrations: {
        trial: null,
        orders: {
          metadata: { labels: { stage: null } },
          sources: { desk: null, shop: { http: { type: null } } },
          flows: null,
          sinks: { trial: null },
          scaling: null,
        },
      },
    };
    const objects = await render('kanava-integrations', [base, production]);
    expect(objects.map(({ metadata }) => metadata.name)).toEqual(['erp', 'orders']);
    expect(specOf(objects, 'erp')).toEqual({ http: { url: 'https://staging.example.com' } });
    expect(specOf(objects, 'orders')).toEqual({
      sources: [{ name: 'shop', http: { path: '/orders' } }],
      steps: [{ name: 'shape', map: { body: { a: null, b: 1 } } }],
      sinks: [{ name: 'erp', http: { connectionRef: { name: 'erp' } } }],
    });
    const labels = objects[1]?.metadata.labels;
    expect(labels).toMatchObject({ team: 'shop' });
    expect(labels).not.toHaveProperty('stage');
  });

  it('of two auths only the one that is left counts', async () => {
    const production = {
      connections: {
        erp: { http: { auth: { bearer: null, header: { name: 'x-key', secretKeyRef: { name: 'erp', key: 'b' } } } } },
      },
    };
    expect(specOf(await render('kanava-integrations', [base, production]), 'erp')).toMatchObject({
      http: { auth: { header: { name: 'x-key', secretKeyRef: { name: 'erp', key: 'b' } } } },
    });
  });
});

describe('a release', () => {
  it('is installed, changed, rolled back and uninstalled', async () => {
    const { 'base.yaml': base, 'production.yaml': production } = readmeFiles('kanava-integrations');
    const there = ['--namespace', 'acme', '--kubeconfig', api.kubeconfig];
    const chart = chartFolder('kanava-integrations');
    const maxReplicas = () =>
      mustKubectl(api.kubectl, [
        'get',
        'integrations.kanava.dev/orders',
        '-n',
        'acme',
        '-o',
        'jsonpath={.spec.scaling.maxReplicas}',
      ]);
    expect(await helmWith([base], ['install', 'shop', chart, ...there])).toMatchObject({ code: 0 });
    const upgraded = await helmWith([base, production], ['upgrade', 'shop', chart, '--reset-values', ...there]);
    expect(upgraded).toMatchObject({ code: 0 });
    expect(upgraded.stdout).toContain('kubectl wait integrations.kanava.dev/orders -n acme');
    expect(await maxReplicas()).toBe('20');
    expect(await helmWith([], ['rollback', 'shop', '1', ...there])).toMatchObject({ code: 0 });
    expect(await maxReplicas()).toBe('');
    expect(await helmWith([], ['uninstall', 'shop', ...there])).toMatchObject({ code: 0 });
    expect(await mustKubectl(api.kubectl, ['get', 'kanava', '-n', 'acme', '-o', 'name'])).toBe('');
  });
});
