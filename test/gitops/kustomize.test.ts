import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { load, loadAll } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { checkSources } from '../../cli/check.ts';
import { connectionSpec } from '../../operator/api/connection.ts';
import { integrationSpec } from '../../operator/api/integration.ts';
import { annotated } from '../../operator/api/openapi.ts';
import { referencesIn } from '../../operator/api/references.ts';
import type { KubeObject } from '../../operator/reconcile/ports.ts';
import { tenant } from '../build.ts';
import { ensureBinary } from '../cluster/binaries.ts';
import { mustRun } from '../cluster/command.ts';
import { temporaryFolder } from '../cluster/temporary.ts';
import { accepted } from '../operator/api/accepted.ts';

/* docs/gitops/kustomize as `kubectl kustomize` builds it. */
const example = join(import.meta.dirname, '../../docs/gitops/kustomize');

/** The example with these files over it, built. */
const build = async (files: Readonly<Record<string, unknown>> = {}): Promise<KubeObject[]> => {
  const folder = join(await temporaryFolder('kustomize'), 'example');
  await cp(example, folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), JSON.stringify(content));
  return loadAll(await mustRun(await ensureBinary('kubectl'), ['kustomize', folder])) as KubeObject[];
};
const kustomization = async () =>
  load(await readFile(join(example, 'kustomization.yaml'), 'utf8')) as Record<string, unknown>;
const changed = async (changes: Readonly<Record<string, unknown>>) => ({
  'kustomization.yaml': { ...(await kustomization()), ...changes },
});
const find = (objects: readonly KubeObject[], kind: string, name = '') =>
  objects.find((object) => object.kind === kind && object.metadata.name.includes(name)) as KubeObject;
const nameOf = (objects: readonly KubeObject[], kind: string, name: string) => find(objects, kind, name).metadata.name;

describe('the example', () => {
  it('merges lists by name, and names follow prefixes and hashes', async () => {
    const objects = await build();
    const [secret, ca] = [nameOf(objects, 'Secret', 'erp'), nameOf(objects, 'ConfigMap', 'company-ca')];
    expect([secret, ca]).toEqual([
      expect.stringMatching(/^eu-erp-.{10}$/),
      expect.stringMatching(/^eu-company-ca-.{10}$/),
    ]);
    const connection = find(objects, 'Connection');
    expect(connection.metadata).toMatchObject({ name: 'eu-erp', namespace: 'acme' });
    expect(connection['spec']).toEqual({
      http: {
        url: 'https://erp.example.com/api',
        auth: { bearer: { secretKeyRef: { name: secret, key: 'token' } } },
        tls: { caRef: { kind: 'ConfigMap', name: ca, key: 'ca.crt' } },
      },
    });
    const webhook = { secretKeyRef: { name: nameOf(objects, 'Secret', 'shop'), key: 'webhook' } };
    const { sources, sinks, steps } = find(objects, 'Integration')['spec'] as Record<string, unknown>;
    expect(sources).toEqual([{ name: 'shop', http: { path: '/eu/orders', auth: { hmac: webhook } } }]);
    const erp = { connectionRef: { name: 'eu-erp' } };
    expect(sinks).toEqual([
      { name: 'audit', http: { ...erp, path: '/audit' } },
      { name: 'erp', http: { ...erp, path: '/invoices' } },
    ]);
    expect(steps).toHaveLength(2);
  });

  it('is what kanava check takes', async () => {
    const objects = await build();
    const text = objects.map((object) => JSON.stringify(object)).join('\n---\n');
    const options = { namespace: '', strict: true, operatorNamespace: 'kanava-system', closedRanges: [] };
    const { findings } = checkSources([{ name: 'built.yaml', text, named: true }], options);
    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
  });

  it('control: without openapi.json the patch takes what it does not name', async () => {
    const { openapi: _, ...rest } = await kustomization();
    const objects = await build({ 'kustomization.yaml': rest });
    expect(find(objects, 'Integration')['spec']).not.toHaveProperty('sources.0.http.auth');
  });

  it('control: without names.yaml a generated name reaches nobody', async () => {
    const objects = await build(await changed({ configurations: [] }));
    expect(find(objects, 'Connection')['spec']).toHaveProperty('http.auth.bearer.secretKeyRef.name', 'erp');
    expect(find(objects, 'Integration')['spec']).toHaveProperty('sinks.0.http.connectionRef.name', 'erp');
  });
});

describe('openapi.json', () => {
  it('knows that a Tenant has no namespace, and who its members are', async () => {
    const member = (name: string, role: string) => ({ kind: 'Group' as const, name, role: role as 'Editor' });
    const acme = tenant({ members: [member('devs', 'Editor'), member('support', 'Viewer')] });
    const patch = { ...acme, spec: { members: [member('support', 'Operator')] } };
    const files = { 'tenant.yaml': acme, 'patch.yaml': patch };
    const patches = [{ path: 'patch.yaml' }];
    const objects = await build({
      ...files,
      ...(await changed({ resources: ['tenant.yaml'], patches, namePrefix: '' })),
    });
    const { metadata, spec } = find(objects, 'Tenant') as unknown as typeof acme;
    expect(metadata).not.toHaveProperty('namespace');
    expect(spec.members).toHaveLength(2);
    expect(spec.members).toEqual(expect.arrayContaining([member('support', 'Operator'), member('devs', 'Editor')]));
  });

  // Why the README wants a kustomization of their own for Kanava's objects: such a file takes the place of what kustomize knows.
  it('leaves kustomize without its own kinds', async () => {
    const containers = [{ name: 'a', image: 'a' }];
    const workload = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'other' } };
    const files = {
      'workload.yaml': { ...workload, spec: { template: { spec: { containers } } } },
      'patch.yaml': { ...workload, spec: { template: { spec: { containers: [{ name: 'a', tty: true }] } } } },
    };
    const alone = { resources: ['workload.yaml'], patches: [{ path: 'patch.yaml' }] };
    const imageOf = (objects: KubeObject[]) =>
      (find(objects, 'Deployment')['spec'] as { template: { spec: { containers: { image?: string }[] } } }).template
        .spec.containers[0]?.image;
    const { openapi: _, ...rest } = await kustomization();
    expect(imageOf(await build({ ...files, 'kustomization.yaml': { ...rest, ...alone } }))).toBe('a');
    expect(imageOf(await build({ ...files, ...(await changed(alone)) }))).toBeUndefined();
  });
});

describe('names.yaml', () => {
  it('has the path of every reference in every object that the API takes', async () => {
    const { nameReference } = load(await readFile(join(example, 'names.yaml'), 'utf8')) as {
      nameReference: { kind: string; fieldSpecs: { kind: string; path: string }[] }[];
    };
    const known = new Set(
      nameReference.flatMap(({ kind, fieldSpecs }) => fieldSpecs.map((spec) => `${kind} ${spec.kind} ${spec.path}`)),
    );
    const schemas = { Integration: annotated(integrationSpec), Connection: annotated(connectionSpec) };
    const used = new Set<string>();
    const base = ['erp.yaml', 'orders.yaml'].map((file) => readFile(join(example, 'base', file), 'utf8'));
    const objects = [...accepted.map(({ object }) => object), ...(await Promise.all(base)).map((text) => load(text))];
    for (const { kind, spec } of objects as { kind: string; spec: unknown }[]) {
      if (kind !== 'Integration' && kind !== 'Connection') continue;
      const { connections, secrets, cas } = referencesIn(schemas[kind], spec, ['spec']);
      const path = (text: string) => `${kind} ${text.replaceAll(/\[\d+\]/g, '').replaceAll('.', '/')}/name`;
      for (const found of connections) used.add(`Connection ${path(found.path)}`);
      for (const found of secrets) used.add(`Secret ${path(found.path)}`);
      for (const found of cas) used.add(`${found.kind} ${path(found.path)}`);
    }
    expect(used.size).toBeGreaterThan(5);
    expect([...used].filter((one) => !known.has(one))).toEqual([]);
  });
});
