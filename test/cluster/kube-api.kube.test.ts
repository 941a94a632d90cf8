import { afterAll, beforeAll, expect, test } from 'vitest';
import { type OwnKubeApi, startKubeApi } from './kube-api.ts';

let api: OwnKubeApi;

beforeAll(async () => {
  api = await startKubeApi();
});
afterAll(() => api.stop());

test('a user and a service account are who they say, with no rights', async () => {
  const user = await api.userKubeconfig('ann/ops', ['acme-devs', 'b:c']);
  const who = await api.kubectl(['--kubeconfig', user, 'auth', 'whoami', '-o', 'json']);
  expect(JSON.parse(who.stdout).status.userInfo).toMatchObject({
    username: 'ann/ops',
    groups: ['acme-devs', 'b:c', 'system:authenticated'],
  });
  const refused = await api.kubectl(['--kubeconfig', user, 'get', 'secrets']);
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('Forbidden')]);
  // The control: it is the rights that are missing, not the server.
  expect((await api.kubectl(['get', 'secrets'])).code).toBe(0);

  expect((await api.kubectl(['create', 'serviceaccount', 'bob', '-n', 'default'])).code).toBe(0);
  const account = await api.serviceAccountKubeconfig('default', 'bob');
  const name = await api.kubectl([
    '--kubeconfig',
    account,
    'auth',
    'whoami',
    '-o',
    'jsonpath={.status.userInfo.username}',
  ]);
  expect(name.stdout).toBe('system:serviceaccount:default:bob');
});

test('a ValidatingAdmissionPolicy is enforced', async () => {
  const policy = {
    apiVersion: 'v1',
    kind: 'List',
    items: [
      {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'ValidatingAdmissionPolicy',
        metadata: { name: 'no-x' },
        spec: {
          matchConstraints: {
            resourceRules: [
              { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] },
            ],
          },
          validations: [{ expression: "object.metadata.name != 'x'", message: 'not x' }],
        },
      },
      {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'ValidatingAdmissionPolicyBinding',
        metadata: { name: 'no-x' },
        spec: { policyName: 'no-x', validationActions: ['Deny'] },
      },
    ],
  };
  expect((await api.kubectl(['apply', '-f', '-'], { stdin: JSON.stringify(policy) })).code).toBe(0);
  const create = async () => (await api.kubectl(['create', 'configmap', 'x', '--dry-run=server'])).stderr;
  await expect.poll(create, { timeout: 60_000 }).toContain('not x');
});

test('the server can be killed and comes back with what it had', async () => {
  await api.kubectl(['create', 'configmap', 'kept']);
  await api.apiserver.stop('SIGKILL');
  expect((await api.kubectl(['get', 'configmap', 'kept'])).code).not.toBe(0);
  await api.apiserver.start();
  expect((await api.kubectl(['get', 'configmap', 'kept'])).code).toBe(0);
});

test('two servers do not meet', async () => {
  await using other = await startKubeApi();
  await api.kubectl(['create', 'configmap', 'mine']);
  expect((await other.kubectl(['get', 'configmap', 'mine'])).stderr).toContain('NotFound');
});
