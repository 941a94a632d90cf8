import { Agent, request } from 'node:https';
import { expect, test } from 'vitest';
import { mustKubectl } from '../../cluster/kubectl.ts';
import { rawApi } from './raw-api.ts';
import { borrowServer } from './shared-server.ts';

const policies = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies';
const bindings = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings';
const secretsOf = (namespace: string) => `/api/v1/namespaces/${namespace}/secrets`;
const named = (apiVersion: string, kind: string, name: string, rest: object = {}) => ({
  apiVersion,
  kind,
  metadata: { name },
  ...rest,
});

test('who borrows it again finds what was there at first: objects, rights and policies of the last file are gone', async () => {
  const first = await borrowServer();
  const before = rawApi(first);
  const must = async (...asked: Parameters<typeof before.call>) =>
    expect((await before.call(...asked)).message).toBe('');
  const admission = 'admissionregistration.k8s.io/v1';
  const resourceRules = [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['secrets'] }];
  const spec = { matchConstraints: { resourceRules }, validations: [{ expression: 'false', message: 'no secrets' }] };
  await must('POST', '/api/v1/namespaces', named('v1', 'Namespace', 'of-the-first'));
  await must('POST', '/api/v1/namespaces/default/configmaps', named('v1', 'ConfigMap', 'of-the-first'));
  await must('PATCH', '/api/v1/namespaces/default', { metadata: { labels: { of: 'the-first' } } }, mergePatch);
  await must('POST', policies, named(admission, 'ValidatingAdmissionPolicy', 'no-secrets', { spec }));
  const binding = { spec: { policyName: 'no-secrets', validationActions: ['Deny'] } };
  await must('POST', bindings, named(admission, 'ValidatingAdmissionPolicyBinding', 'no-secrets', binding));
  const user = await first.userKubeconfig('ann');
  await mustKubectl(first.kubectl, [
    'create',
    'clusterrolebinding',
    'ann',
    '--clusterrole=cluster-admin',
    '--user=ann',
  ]);
  const canI = async () =>
    (await first.kubectl(['--kubeconfig', user, 'auth', 'can-i', 'get', 'secrets'])).stdout.trim();
  const secret = named('v1', 'Secret', 'mine');
  const create = async () => (await before.call('POST', `${secretsOf('default')}?dryRun=All`, secret)).message;
  await expect.poll(canI).toBe('yes');
  await expect.poll(create).toContain('no secrets');
  before.close();
  await first.stop();

  await using second = await borrowServer();
  expect(second.url).toBe(first.url);
  expect(await canI()).toBe('no');
  const { call, close } = rawApi(second);
  expect((await call('POST', secretsOf('default'), secret)).message).toBe('');
  expect((await call('POST', secretsOf('of-the-first'), secret)).status).toBe(404);
  const { body } = await call('GET', '/api/v1/namespaces');
  const found = (body as { items: { metadata: { name: string; labels: Record<string, string> } }[] }).items;
  expect(found.map(({ metadata }) => metadata.name).sort()).toEqual([
    'default',
    'kube-node-lease',
    'kube-public',
    'kube-system',
  ]);
  expect(found.find(({ metadata }) => metadata.name === 'default')?.metadata.labels).not.toHaveProperty('of');
  expect((await call('GET', policies)).body).toMatchObject({ items: [] });
  close();
});
const mergePatch = 'application/merge-patch+json';

test('a file that changes CRDs does not give it back', async () => {
  const api = await borrowServer();
  await mustKubectl(api.kubectl, ['delete', 'crd', 'tenants.kanava.dev']);
  await expect(api.stop()).rejects.toThrow(/a file that changes CRDs .*\/tenants\.kanava\.dev/);
});

test('a client that goes on is named', async () => {
  const api = await borrowServer(2_000);
  const agent = new Agent({ keepAlive: true, ca: api.ca, cert: api.adminCert, key: api.adminKey });
  const watch = request(`${api.url}/api/v1/namespaces?watch=true`, { agent });
  await new Promise((resolve) => watch.once('response', resolve).end());
  watch.on('error', () => {});
  await expect(api.stop()).rejects.toThrow(new RegExp(`still connected to the API server: ${process.pid} `));
  agent.destroy();
});
