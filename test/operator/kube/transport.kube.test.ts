import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Registry } from 'prom-client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loadIdentity } from '../../../operator/kube/identity.ts';
import { createTransport, type Transport, type TransportOptions } from '../../../operator/kube/transport.ts';
import { ApiError, type KubeObject } from '../../../operator/reconcile/ports.ts';
import type { Fault } from './fault-proxy.ts';
import { type KubeWorld, newNamespace, startKubeWorld } from './kube-world.ts';

let world: KubeWorld;
let namespace: string;
const open: Transport[] = [];

const transportWith = (options: Partial<TransportOptions> = {}) => {
  const transport = createTransport({
    identity: world.proxy.identity,
    registry: new Registry(),
    mayWrite: () => true,
    ...options,
  });
  open.push(transport);
  return transport;
};
const applyOf = (name: string, body: Record<string, unknown> = {}) => ({
  method: 'PATCH' as const,
  path: `/api/v1/namespaces/${namespace}/configmaps/${name}`,
  query: { fieldManager: 'test', force: 'true' },
  contentType: 'application/apply-patch+yaml',
  idempotent: true,
  body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, ...body },
});
const create = (kind: string, plural: string, body: Record<string, unknown>) => ({
  method: 'POST' as const,
  path: `/api/v1/namespaces/${namespace}/${plural}`,
  body: { apiVersion: 'v1', kind, ...body },
});
const inject = (times: number, fault: Fault) => {
  let left = times;
  world.proxy.fault((request) => (request.path.includes(namespace) && left-- > 0 ? fault : undefined));
};
const sent = () => world.proxy.requests.filter(({ path }) => path.includes(namespace)).length;
const failure = async (promise: Promise<unknown>): Promise<ApiError> => {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ApiError);
  return error as ApiError;
};

beforeAll(async () => {
  world = await startKubeWorld();
});
afterAll(() => world?.stop());
beforeEach(async () => {
  namespace = await newNamespace(world);
});
afterEach(async () => {
  world.proxy.fault(undefined);
  await Promise.all(open.splice(0).map((transport) => transport.close()));
});

describe('connections', () => {
  test.each([
    ['one after the other', 1, 2],
    ['all at once', 100, 8],
  ])('100 applies, %s', async (_how, parallel, most) => {
    const transport = transportWith();
    const before = world.proxy.connections();
    for (let i = 0; i < 100; i += parallel)
      await Promise.all(Array.from({ length: parallel }, (_, j) => transport.request(applyOf(`c${i + j}`))));
    expect(world.proxy.connections() - before).toBeLessThanOrEqual(most);
    const list = await world.direct.request({ method: 'GET', path: `/api/v1/namespaces/${namespace}/configmaps` });
    expect((list as { items: KubeObject[] }).items).toHaveLength(100);
  });

  test('150 watches over two', async () => {
    const transport = transportWith();
    const before = world.proxy.connections();
    const end = new AbortController();
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const list = (await world.direct.request({ method: 'GET', path })) as KubeObject;
    const query = { watch: '1', resourceVersion: list.metadata.resourceVersion };
    await transport.stream({ path, query, signal: end.signal });
    for (let i = 0; i < 149; i++) await transport.stream({ path, query, signal: end.signal });
    expect(world.proxy.connections() - before).toBe(2);
    end.abort();
  });
});

describe('attempts', () => {
  test.each<[string, Fault]>([
    ['503', { do: 'answer', status: 503 }],
    ['429 with Retry-After', { do: 'answer', status: 429, headers: { 'retry-after': '1' } }],
    ['a reset', { do: 'reset' }],
    ['an answer that was lost', { do: 'lose-answer' }],
    ['an answer that is no JSON', { do: 'answer', status: 200, body: '{' }],
  ])('an apply survives %s', async (_what, fault) => {
    inject(2, fault);
    const answer = (await transportWith().request(applyOf('a'))) as KubeObject;
    expect(answer.metadata.name).toBe('a');
    expect(sent()).toBe(3);
  });

  test('Retry-After is obeyed, also by a write that is not idempotent: 429 was not executed', async () => {
    inject(1, { do: 'answer', status: 429, headers: { 'retry-after': '1' } });
    const begun = performance.now();
    await transportWith().request(create('ConfigMap', 'configmaps', { metadata: { name: 'a' } }));
    expect(performance.now() - begun).toBeGreaterThanOrEqual(1000);
  });

  test.each<[string, Fault]>([
    ['503', { do: 'answer', status: 503 }],
    ['a reset', { do: 'reset' }],
    ['an answer that was lost', { do: 'lose-answer' }],
  ])('a create is sent once when it meets %s', async (_what, fault) => {
    inject(5, fault);
    await failure(transportWith().request(create('ConfigMap', 'configmaps', { metadata: { generateName: 'a' } })));
    expect(sent()).toBe(1);
  });

  test('a call ends at its deadline', async () => {
    inject(9, { do: 'swallow' });
    const error = await failure(transportWith().request({ ...applyOf('a'), timeoutMs: 300 }));
    expect([error.status, error.reason]).toEqual([0, 'Timeout']);
  });

  test('a dead connection costs one attempt, not the deadline', async () => {
    const transport = transportWith({ attemptMs: 1000 });
    await transport.request(applyOf('a'));
    world.proxy.freezeConnections();
    expect(await transport.request(applyOf('b'))).toMatchObject({ metadata: { name: 'b' } });
  });

  test('a refusal is not repeated', async () => {
    const error = await failure(transportWith().request(applyOf('a', { data: { n: 5 } })));
    expect(error.status).toBeGreaterThanOrEqual(400);
    expect(sent()).toBe(1);
  });

  test('the lease does not wait behind other requests', async () => {
    const patient = 120_000;
    const transport = transportWith({ connections: 2, attemptMs: patient, writeMs: patient });
    world.proxy.fault(({ path }) => (path.endsWith('/stuck') ? { do: 'swallow' } : undefined));
    const [first, second, behind] = ['stuck', 'stuck', 'behind'].map((name) =>
      transport.request({ ...applyOf(name), timeoutMs: patient }),
    );
    const lease = transport.request({ ...applyOf('lease'), once: true }).then(() => 'the lease');
    // The control: what is sent as all others are waits for a connection.
    expect(await Promise.race([behind, lease])).toBe('the lease');
    world.proxy.fault(undefined);
    world.proxy.resetConnections();
    await Promise.all([first, second, behind]);
  }, 180_000);

  test('who has lost the lease sends no write, not even the next attempt; it may read', async () => {
    let isLeader = true;
    const transport = transportWith({ mayWrite: () => isLeader });
    world.proxy.fault(() => {
      isLeader = false;
      return { do: 'answer', status: 503 };
    });
    expect((await failure(transport.request(applyOf('a')))).reason).toBe('NotLeader');
    expect(sent()).toBe(1);
    world.proxy.fault(undefined);
    expect((await failure(transport.request(applyOf('a')))).reason).toBe('NotLeader');
    expect(sent()).toBe(1);
    expect(await transport.request({ method: 'GET', path: '/version' })).toHaveProperty('major');
  });

  test.each([
    ["a write that waits for a connection is not sent when the lease is another's by then", 300, false],
    ['control: without its bound it is', 60_000, true],
  ])('%s', async (_what, writeMs, isWritten) => {
    const transport = transportWith({ connections: 1, attemptMs: 1500, writeMs });
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    world.proxy.fault(({ method }) => (method === 'GET' ? { do: 'swallow' } : undefined));
    const blocking = failure(transport.request({ method: 'GET', path, timeoutMs: 1500 }));
    const waiting = transport.request({ ...create('ConfigMap', 'configmaps', { metadata: { name: 'late' } }) }).then(
      () => true,
      () => false,
    );
    await blocking;
    expect(await waiting).toBe(isWritten);
    await transport.request(applyOf('next'));
    const { items } = (await world.direct.request({ method: 'GET', path })) as { items: KubeObject[] };
    expect(items.some(({ metadata }) => metadata.name === 'late')).toBe(isWritten);
  });

  test('requests are counted by code, method and host', async () => {
    const registry = new Registry();
    const transport = transportWith({ registry });
    inject(1, { do: 'answer', status: 503 });
    await transport.request(applyOf('a'));
    await failure(transport.request({ method: 'GET', path: `/api/v1/namespaces/${namespace}/configmaps/none` }));
    inject(1, { do: 'reset' });
    await failure(transport.request({ method: 'GET', path: `/api/v1/namespaces/${namespace}`, once: true }));
    const text = await registry.metrics();
    for (const [code, method] of [
      ['503', 'PATCH'],
      ['201', 'PATCH'],
      ['404', 'GET'],
      ['<error>', 'GET'],
    ])
      expect(text).toMatch(
        new RegExp(`rest_client_requests_total\\{code="${code}",method="${method}",host="127.0.0.1:\\d+"\\} 1`),
      );
  });
});

describe('secrets', () => {
  const value = 'correct-horse-battery-staple';
  test.each<[string, Record<string, unknown>]>([
    ['a value of a wrong type', { data: { key: { nested: value } } }],
    ['a value that is not base64', { data: { key: value } }],
    ['a value in the place of a key', { data: { [`/${value}/`]: 'eA==' } }],
    ['a field that does not exist', { [value]: 'x', type: 5 }],
  ])('the refusal of %s does not repeat it', async (_what, body) => {
    const secret = create('Secret', 'secrets', { metadata: { name: 'a' }, ...body });
    const error = await failure(transportWith().request(secret));
    expect(error.status).toBeGreaterThanOrEqual(400);
    expect(JSON.stringify([error.message, error.stack, error.cause])).not.toContain(value);
  });

  test('control: for other kinds it does, because that helps', async () => {
    const body = { metadata: { name: 'a' }, data: { [`/${value}/`]: 'x' } };
    expect((await failure(transportWith().request(create('ConfigMap', 'configmaps', body)))).message).toContain(value);
  });

  test('a truncated answer is not quoted', async () => {
    inject(9, { do: 'answer', status: 200, body: `{"data":{"key":"${value}` });
    const path = `/api/v1/namespaces/${namespace}/secrets/a`;
    const error = await failure(transportWith().request({ method: 'GET', path }));
    expect(JSON.stringify([error.message, String(error.cause), error.stack])).not.toContain(value);
  });
});

describe('identity', () => {
  test('of a pod: the token is read again when it was refused', async () => {
    await world.api.kubectl(['create', 'serviceaccount', 'robot', '-n', namespace]);
    const { stdout } = await promisify(execFile)('sh', ['-c', 'cat "$1"', 'sh', await robotConfig()]);
    const token = (JSON.parse(stdout) as { users: { user: { token: string } }[] }).users[0]?.user.token ?? '';
    const folder = await mkdtemp(join(tmpdir(), 'kanava-test-identity-'));
    await writeFile(join(folder, 'ca.crt'), world.api.ca);
    await writeFile(join(folder, 'token'), 'expired');
    const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(world.api.port) };
    const identity = await loadIdentity({ env, folder });
    const transport = transportWith({ identity });
    const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
    const whoAmI = {
      method: 'POST' as const,
      path,
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
    };
    expect((await failure(transport.request(whoAmI))).status).toBe(401);
    await writeFile(join(folder, 'token'), `${token}\n`);
    expect(await transport.request(whoAmI)).toMatchObject({
      status: { userInfo: { username: `system:serviceaccount:${namespace}:robot` } },
    });
    await rm(folder, { recursive: true });
  });
  const robotConfig = () => world.api.serviceAccountKubeconfig(namespace, 'robot');

  test('of a kubeconfig with a token', async () => {
    await world.api.kubectl(['create', 'serviceaccount', 'robot', '-n', namespace]);
    const transport = transportWith({ identity: await loadIdentity({ kubeconfig: await robotConfig(), env: {} }) });
    const error = await failure(transport.request({ method: 'GET', path: '/api/v1/secrets' }));
    expect([error.status, error.reason]).toEqual([403, 'Forbidden']);
    expect(error.message).toContain(`system:serviceaccount:${namespace}:robot`);
  });

  test('neither a kubeconfig nor a pod: says so', async () => {
    await expect(loadIdentity({ env: {} })).rejects.toThrow('KUBERNETES_SERVICE_HOST is not set');
    await expect(loadIdentity({ kubeconfig: '/nowhere', env: {} })).rejects.toThrow('/nowhere is not a kubeconfig');
  });
});
