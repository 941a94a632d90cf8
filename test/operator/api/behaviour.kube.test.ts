import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { crdName, Integrations, kinds } from '../../../operator/api/meta.ts';
import { nameRule } from '../../../operator/api/parse.ts';
import { largestCrd, longestDescription } from '../../../operator/api/schema-rules.ts';
import { connection, filter, http, integration, tenant } from '../../build.ts';
import { mustKubectl } from '../../cluster/kubectl.ts';
import { type CrdServer, startOwnCrdServer } from './crd-server.ts';

/* What a user and a controller see of the CRDs on a real API server. */

let server: CrdServer;
const kubectl = (args: string[], stdin?: unknown) =>
  mustKubectl(server.api.kubectl, args, stdin === undefined ? {} : { stdin: JSON.stringify(stdin) });

beforeAll(async () => {
  server = await startOwnCrdServer();
});
afterAll(() => server?.stop());

interface Crd {
  metadata: { annotations: Record<string, string> };
  status: { conditions: { type: string; status: string; message: string }[]; acceptedNames: { shortNames: string[] } };
}

test.each(kinds)('$kind is established without violations', async (kind) => {
  const { body } = await server.call('GET', `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${crdName(kind)}`);
  const { metadata, status } = body as Crd;
  const holds = status.conditions.filter(({ status }) => status === 'True').map(({ type }) => type);
  // NonStructuralSchema would stand here, too.
  expect(holds.sort()).toEqual(['Established', 'NamesAccepted']);
  expect(metadata.annotations['kanava.dev/schema-revision']).toMatch(/^[1-9][0-9]*$/);
});

test('the compact Integration CRD is far from what etcd and Helm releases carry', () => {
  const file = join(import.meta.dirname, '..', '..', '..', 'crds', `${crdName(Integrations)}.yaml`);
  const bytes = JSON.stringify(load(readFileSync(file, 'utf8'))).length;
  console.log(`compact Integration CRD: ${bytes} bytes`);
  expect(bytes).toBeGreaterThan(10_000);
  expect(bytes).toBeLessThan(largestCrd);
});

describe('kubectl', () => {
  test('explains every field', async () => {
    const { body } = await server.call('GET', '/openapi/v3/apis/kanava.dev/v1alpha1');
    const { schemas } = (body as { components: { schemas: Record<string, Explained> } }).components;
    const texts = kinds.flatMap(({ kind }) => {
      const { spec, status } = schemas[`dev.kanava.v1alpha1.${kind}`]?.properties ?? {};
      return [...described(spec, `${kind}.spec`), ...described(status, `${kind}.status`)];
    });
    expect(texts.length).toBeGreaterThan(150);
    expect(texts.filter(({ description }) => !description || description.length > longestDescription)).toEqual([]);
    // The API server publishes the OpenAPI of a fresh CRD in its own time, and kubectl does not wait for it.
    const explain = () => server.api.kubectl(['explain', 'integrations.kanava.dev.spec.sources.http']);
    await expect.poll(explain, { timeout: 60_000, interval: 500 }).toMatchObject({ code: 0, stderr: '' });
    const { stdout: explained } = await explain();
    expect(explained).toContain('Receives messages as HTTP requests.');
    expect(explained).toMatch(/path\t<string> -required-\n\s+Path below/);
    expect(explained).not.toContain('<no description>');
  });

  test('shows the columns of the design', async () => {
    await server.create(integration());
    const header = async (...args: string[]) => (await kubectl(['get', ...args])).split('\n')[0]?.split(/ {2,}/);
    const base = ['READY', 'STATE', 'PODS', 'PENDING', 'FAILED', 'LAST-MSG', 'AGE'];
    expect(await header('integrations.kanava.dev', '-A')).toEqual(['NAMESPACE', 'NAME', ...base]);
    expect(await header('kint', '-A', '-o', 'wide')).toEqual([
      'NAMESPACE',
      'NAME',
      ...base,
      'SOURCES',
      'SINKS',
      'MESSAGE',
    ]);
    expect(await kubectl(['get', 'kanava', '-A'])).toContain('integration.kanava.dev/orders');
    for (const short of ['ktenant', 'kconn']) await kubectl(['get', short, '-A']);
  });

  test('fills columns and selects by suspend', async () => {
    await server.create(integration({ suspend: true }, { name: 'asleep' }));
    await server.create(tenant({}, { name: 'columns' }));
    await server.create(connection());
    const condition = {
      type: 'Ready',
      status: 'True',
      reason: 'Suspended',
      message: 'as asked',
      lastTransitionTime: now,
    };
    const status = { observedGeneration: 1, conditions: [condition], replicas: 0, lag: { pending: 14, inFlight: 0 } };
    const wide = { ...status, sources: 'in(http)', sinks: 'erp(http)', deadLetters: { count: 3 } };
    await applyStatus(integration(undefined, { name: 'asleep' }), wide);
    const row = (await kubectl(['get', 'kint', '-n', 'acme', 'asleep', '-o', 'wide', '--no-headers'])).split(/ {2,}/);
    expect(row.slice(0, 6)).toEqual(['asleep', 'True', 'Suspended', '0', '14', '3']);
    expect(row.slice(-3).map((cell) => cell.trim())).toEqual(['in(http)', 'erp(http)', 'as asked']);
    const asleep = await kubectl(['get', 'kint', '-n', 'acme', '--field-selector=spec.suspend=true', '-o', 'name']);
    expect(asleep.trim()).toBe('integration.kanava.dev/asleep');
  });
});

const now = '2026-01-01T00:00:00Z';
const applyStatus = ({ apiVersion, kind, metadata }: ReturnType<typeof integration>, status: unknown) =>
  kubectl(['apply', '--server-side', '--subresource=status', '--field-manager=kanava-operator-status', '-f', '-'], {
    apiVersion,
    kind,
    metadata,
    status,
  });

interface Explained {
  description?: string;
  properties?: Record<string, Explained>;
  items?: Explained;
  additionalProperties?: Explained;
}
const described = (node: Explained | undefined, path: string): { path: string; description: string | undefined }[] => {
  if (!node) throw new Error(`${path} is not served`);
  return Object.entries(node.properties ?? {}).flatMap(([name, below]) => {
    const inner = below.items ?? below;
    return [{ path: `${path}.${name}`, description: below.description }, ...described(inner, `${path}.${name}`)];
  });
};

describe('status', () => {
  test('of a new object says that nobody has seen it', async () => {
    await server.create(integration({}, { name: 'fresh' }));
    expect(await kubectl(['get', 'kint', '-n', 'acme', 'fresh', '-o', 'jsonpath={.status}'])).toBe(
      '{"observedGeneration":-1}',
    );
  });

  test('is written through its subresource only, and refuses what the schema does not know', async () => {
    const object = integration({}, { name: 'through' });
    await server.create({ ...object, status: { replicas: 7 } });
    expect(await kubectl(['get', 'kint', '-n', 'acme', 'through', '-o', 'jsonpath={.status.replicas}'])).toBe('');
    await expect(applyStatus(object, { observedGeneration: 1, phase: 'Running' })).rejects.toThrow(/phase/);
  });
});

describe('scale', () => {
  test('works in mode Manual', async () => {
    const object = integration({ scaling: { mode: 'Manual', replicas: 1 } }, { name: 'manual' });
    await server.create(object);
    await applyStatus(object, { observedGeneration: 1, replicas: 1, selector: 'kanava.dev/integration=manual' });
    await kubectl(['scale', '-n', 'acme', 'integrations.kanava.dev/manual', '--replicas=3']);
    const { body } = await server.call('GET', '/apis/kanava.dev/v1alpha1/namespaces/acme/integrations/manual/scale');
    expect(body).toMatchObject({
      spec: { replicas: 3 },
      status: { replicas: 1, selector: 'kanava.dev/integration=manual' },
    });
  });

  test('says in mode Auto that the mode is in the way', async () => {
    await server.create(integration({}, { name: 'auto' }));
    const { code, stderr } = await server.api.kubectl([
      'scale',
      '-n',
      'acme',
      'integrations.kanava.dev/auto',
      '--replicas=3',
    ]);
    expect(code).not.toBe(0);
    expect(stderr).toContain('scaling.replicas goes with mode Manual: set both or neither');
  });
});

describe('server-side apply by two managers', () => {
  const apply = (manager: string, spec: object, force = false) =>
    kubectl(
      ['apply', '--server-side', `--field-manager=${manager}`, ...(force ? ['--force-conflicts'] : []), '-f', '-'],
      { ...integration(), metadata: { name: 'shared', namespace: 'acme' }, spec },
    );
  const read = async () =>
    JSON.parse(await kubectl(['get', 'kint', '-n', 'acme', 'shared', '-o', 'json'])) as {
      spec: { sources: { name: string }[]; steps: { name: string }[] };
    };

  test('merges sources by name, replaces one source whole, and keeps steps as one value', async () => {
    await apply('one', { sources: [http({ idHeader: 'x-id' }, 'a')], steps: [filter('true', 'first')] });
    await apply('two', { sources: [http({}, 'b')] });
    expect((await read()).spec.sources.map(({ name }) => name)).toEqual(['a', 'b']);
    // The item is atomic: nothing of the other manager's settings is left in it.
    await apply('two', { sources: [http({}, 'b'), { name: 'a', http: { path: '/other' } }] }, true);
    const replaced = (await read()).spec.sources.find(({ name }) => name === 'a');
    expect(replaced).toEqual({ name: 'a', http: { path: '/other' } });
    const stolen = apply('two', { sources: [http({}, 'b')], steps: [filter('false', 'second')] });
    await expect(stolen).rejects.toThrow(/conflict with "one".*steps/s);
    await apply('two', { sources: [http({}, 'b')], steps: [filter('false', 'second'), filter('true', 'first')] }, true);
    expect((await read()).spec.steps.map(({ name }) => name)).toEqual(['second', 'first']);
  });
});

test('the name rule makes no object undeletable that is older than the rule', async () => {
  const name = 'a-name-that-was-fine-before-the-rule-of-forty-characters';
  const long = integration({}, { name, finalizers: ['kanava.dev/messaging'] });
  expect((await server.create(long)).causes.at(-1)?.message).toContain(nameRule.message);
  const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${crdName(Integrations)}`;
  const rules = '/spec/versions/0/schema/openAPIV3Schema/x-kubernetes-validations';
  const patch = (operation: object) => server.call('PATCH', path, [operation], 'application/json-patch+json');
  expect((await patch({ op: 'remove', path: rules })).message).toBe('');
  await expect.poll(async () => (await server.create(long)).status, { timeout: 60_000 }).toBe(201);
  expect((await patch({ op: 'add', path: rules, value: [nameRule] })).message).toBe('');
  // The rule is back when another long name is refused again.
  const other = integration({}, { name: `${name}-too` });
  await expect.poll(async () => (await server.check(other)).status, { timeout: 60_000 }).toBe(422);
  const object = `/apis/kanava.dev/v1alpha1/namespaces/acme/integrations/${name}`;
  await server.call('DELETE', object);
  const freed = await server.call('PATCH', object, { metadata: { finalizers: null } }, 'application/merge-patch+json');
  expect(freed.message).toBe('');
  await expect.poll(async () => (await server.call('GET', object)).status).toBe(404);
});
