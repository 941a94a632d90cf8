import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ensureBinary } from '../cluster/binaries.ts';
import type { CommandResult } from '../cluster/command.ts';
import { type KubeApi, startKubeApi } from '../cluster/kube-api.ts';
import { type Kubectl, kubectlFor, mustKubectl } from '../cluster/kubectl.ts';
import { installChart, operatorNamespace } from './chart.ts';

/*
 * What the operator's ServiceAccount may do, with its own token on a real API server, and what policies refuse to it. Each refusal has
 * a control: the administrator, or the same request in a tenant's namespace, gets through.
 */
let api: KubeApi;
let operator: Kubectl;

beforeAll(async () => {
  api = await startKubeApi();
  await installChart(api.kubectl);
  operator = kubectlFor(
    await ensureBinary('kubectl'),
    await api.serviceAccountKubeconfig(operatorNamespace, 'kanava-operator'),
  );
  // Policies take effect some moments after they are stored.
  await vi.waitFor(
    async () => expect((await operator(bindIn('kube-system', 'kanava-viewer'))).stderr).toContain('tenants only'),
    { timeout: 60_000, interval: 200 },
  );
  await operator(['apply', '--server-side', '-f', '-'], {
    stdin: JSON.stringify(namespace('acme', { 'kanava.dev/tenant': 'acme' })),
  });
});
afterAll(() => api.stop());

const bindIn = (where: string, role: string, subject = '--user=somebody') => [
  'create',
  'rolebinding',
  'try',
  `--clusterrole=${role}`,
  subject,
  '-n',
  where,
  '--dry-run=server',
];
const own = `--serviceaccount=${operatorNamespace}:kanava-operator`;
const namespace = (name: string, labels: Record<string, string> = {}, annotations: Record<string, string> = {}) => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels, annotations },
});
/** `pods/exec` alone would mean a pod named exec. */
const subresource = (word: string): string[] => {
  const found = /^(pods|integrations[.]kanava[.]dev)\/(\w+)$/.exec(word);
  return found ? [found[1] as string, `--subresource=${found[2]}`] : [word];
};
const canI = async (...question: string[]): Promise<string> =>
  (await operator(['auth', 'can-i', ...question.flatMap(subresource)])).stdout.trim();
const refusedBy = (policy: string, result: CommandResult) => {
  expect(result.stderr).toContain(`ValidatingAdmissionPolicy '${policy}'`);
  expect(result.code).not.toBe(0);
};
const admin = (args: string[], stdin?: unknown) =>
  api.kubectl(args, stdin === undefined ? {} : { stdin: JSON.stringify(stdin) });
const asOperator = (args: string[], stdin?: unknown) =>
  operator(args, stdin === undefined ? {} : { stdin: JSON.stringify(stdin) });
const allowed = (result: CommandResult) => expect(result).toMatchObject({ code: 0 });

describe('rights of the operator', () => {
  it.each([
    ['get', 'secrets', '-A'],
    ['list', 'secrets', '-n', 'kube-system'],
    ['create', 'pods', '-n', 'acme'],
    ['create', 'pods/exec', '-A'],
    ['escalate', 'clusterroles'],
    ['bind', 'clusterroles/cluster-admin'],
    ['bind', 'clusterroles/kanava-operator'],
    ['create', 'clusterrolebindings'],
    ['impersonate', 'users'],
    ['create', 'integrations.kanava.dev', '-A'],
    ['delete', 'tenants.kanava.dev'],
    ['patch', 'customresourcedefinitions'],
    ['create', 'deployments.apps', '-n', 'kube-system'],
    ['*', '*', '-A'],
  ])('may not %s %s', async (...question) => expect(await canI(...question)).toBe('no'));

  it.each([
    ['get', 'secrets', '-n', operatorNamespace],
    ['update', 'leases.coordination.k8s.io/kanava-operator', '-n', operatorNamespace],
    ['watch', 'integrations.kanava.dev', '-A'],
    ['patch', 'integrations.kanava.dev/status', '-A'],
    ['bind', 'clusterroles/kanava-operator-tenant'],
    ['create', 'events.events.k8s.io', '-n', 'default'],
  ])('may %s %s', async (...question) => expect(await canI(...question)).toBe('yes'));

  it('names four roles to bind and uses no wildcard, no escalate, no exec', async () => {
    const roles = JSON.parse(
      await mustKubectl(api.kubectl, [
        'get',
        'clusterroles,roles',
        '-A',
        '-l',
        'app.kubernetes.io/part-of=kanava',
        '-o',
        'json',
      ]),
    ) as {
      items: {
        metadata: { name: string };
        rules: { resources: string[]; verbs: string[]; resourceNames?: string[] }[];
      }[];
    };
    const rules = roles.items.flatMap((role) => role.rules.map((rule) => ({ role: role.metadata.name, ...rule })));
    expect(rules.length).toBeGreaterThan(20);
    const words = rules.flatMap(({ verbs, resources }) => [...verbs, ...resources]);
    expect(
      words.filter((word) =>
        ['*', 'escalate', 'impersonate', 'pods/exec', 'pods/attach', 'rolebindings/*'].includes(word),
      ),
    ).toEqual([]);
    expect(rules.filter(({ verbs }) => verbs.includes('bind')).map(({ resourceNames }) => resourceNames)).toEqual([
      ['kanava-operator-tenant', 'kanava-viewer', 'kanava-member-operator', 'kanava-editor'],
    ]);
  });
});

describe('bindings', () => {
  it.each(['kanava-viewer', 'kanava-member-operator', 'kanava-editor'])(
    '%s: in a tenant, nowhere else',
    async (role) => {
      allowed(await operator(bindIn('acme', role)));
      for (const where of ['kube-system', 'default', operatorNamespace])
        refusedBy('kanava-bindings', await operator(bindIn(where, role)));
      allowed(await admin(bindIn('kube-system', role)));
    },
  );

  it('the own role: for the own ServiceAccount alone, whoever asks', async () => {
    allowed(await operator(bindIn('acme', 'kanava-operator-tenant', own)));
    refusedBy('kanava-own-role', await operator(bindIn('acme', 'kanava-operator-tenant')));
    refusedBy(
      'kanava-own-role',
      await operator(bindIn('acme', 'kanava-operator-tenant', `--serviceaccount=acme:kanava-operator`)),
    );
    refusedBy('kanava-own-role', await admin(bindIn('acme', 'kanava-operator-tenant')));
    refusedBy('kanava-bindings', await operator(bindIn('kube-system', 'kanava-operator-tenant', own)));
    allowed(await admin(bindIn('acme', 'view')));
  });

  it('gives itself the Secrets of a tenant, and nobody the rest', async () => {
    expect(await canI('get', 'secrets', '-n', 'acme')).toBe('no');
    allowed(
      await operator(bindIn('acme', 'kanava-operator-tenant', own).filter((word) => !word.startsWith('--dry-run'))),
    );
    await expect.poll(() => canI('get', 'secrets', '-n', 'acme')).toBe('yes');
    expect(await canI('get', 'secrets', '-n', 'kube-system')).toBe('no');
    expect((await operator(bindIn('acme', 'cluster-admin'))).stderr).toContain('forbidden');
  });

  it('does not delete bindings of others', async () => {
    allowed(await admin(['create', 'rolebinding', 'theirs', '--clusterrole=view', '--user=a', '-n', 'default']));
    refusedBy('kanava-bindings', await operator(['delete', 'rolebinding', 'theirs', '-n', 'default']));
    allowed(await admin(['delete', 'rolebinding', 'theirs', '-n', 'default']));
  });
});

describe('namespaces', () => {
  const label = (name: string, tenant: string) => [
    'label',
    'namespace',
    name,
    `kanava.dev/tenant=${tenant}`,
    '--dry-run=server',
    '--overwrite',
  ];

  it('cannot make kube-system a tenant', async () => {
    refusedBy('kanava-namespaces', await operator(label('kube-system', 'acme')));
    allowed(await admin(label('kube-system', 'acme')));
  });

  it('cannot take or delete a namespace that nobody offered', async () => {
    allowed(await admin(['create', '-f', '-'], namespace('theirs')));
    refusedBy('kanava-namespaces', await operator(label('theirs', 'acme')));
    refusedBy(
      'kanava-namespaces',
      await asOperator(
        ['apply', '--server-side', '--force-conflicts', '-f', '-'],
        namespace('theirs', { 'kanava.dev/tenant': 'acme' }, { 'kanava.dev/adopt': 'acme' }),
      ),
    );
    refusedBy('kanava-namespaces', await operator(['delete', 'namespace', 'theirs', '--dry-run=server']));
    allowed(await admin(['delete', 'namespace', 'theirs', '--dry-run=server']));
  });

  it('takes one that its owner offered, for that tenant only', async () => {
    allowed(await admin(['create', '-f', '-'], namespace('offered', {}, { 'kanava.dev/adopt': 'acme' })));
    refusedBy('kanava-namespaces', await operator(label('offered', 'globex')));
    allowed(await operator(label('offered', 'acme')));
  });

  it('makes and changes namespaces of tenants, and hands none to another', async () => {
    refusedBy('kanava-namespaces', await asOperator(['create', '--dry-run=server', '-f', '-'], namespace('new')));
    allowed(
      await asOperator(['create', '--dry-run=server', '-f', '-'], namespace('new', { 'kanava.dev/tenant': 'new' })),
    );
    allowed(
      await operator([
        'label',
        'namespace',
        'acme',
        'pod-security.kubernetes.io/enforce=restricted',
        '--dry-run=server',
      ]),
    );
    refusedBy('kanava-namespaces', await operator(label('acme', 'globex')));
    allowed(await operator(['delete', 'namespace', 'acme', '--dry-run=server']));
  });
});

describe("what users wrote stays the users'", () => {
  const patch = (kind: string, change: unknown) => [
    'patch',
    kind,
    'mine',
    '-n',
    'acme',
    '--type=merge',
    '-p',
    JSON.stringify(change),
    '--dry-run=server',
  ];
  beforeAll(async () => {
    const connection = {
      apiVersion: 'kanava.dev/v1alpha1',
      kind: 'Connection',
      metadata: { name: 'mine', namespace: 'acme' },
      spec: { http: { url: 'http://a.example' } },
    };
    const integration = {
      apiVersion: 'kanava.dev/v1alpha1',
      kind: 'Integration',
      metadata: { name: 'mine', namespace: 'acme' },
      spec: {
        sources: [{ name: 'in', http: { path: '/in' } }],
        sinks: [{ name: 'out', http: { connectionRef: { name: 'mine' } } }],
      },
    };
    const tenant = {
      apiVersion: 'kanava.dev/v1alpha1',
      kind: 'Tenant',
      metadata: { name: 'mine' },
      spec: { namespace: { name: 'mine' } },
    };
    for (const object of [connection, integration, tenant]) allowed(await admin(['create', '-f', '-'], object));
  });

  it.each([
    ['integration.kanava.dev', { spec: { suspend: true } }],
    ['integration.kanava.dev', { spec: { sinks: null } }],
    ['integration.kanava.dev', { metadata: { labels: { a: 'b' } } }],
    ['integration.kanava.dev', { metadata: { annotations: { a: 'b' } } }],
    ['connection.kanava.dev', { spec: { http: { url: 'http://b.example' } } }],
    ['tenant.kanava.dev', { spec: { suspend: true } }],
  ])('the operator does not change %s by %j', async (kind, change) => {
    refusedBy('kanava-users-own-spec', await operator(patch(kind, change)));
    allowed(await admin(patch(kind, change)));
  });

  it.each(['integration.kanava.dev', 'tenant.kanava.dev'])('it sets finalizers and status of %s', async (kind) => {
    allowed(await operator(patch(kind, { metadata: { finalizers: ['kanava.dev/messaging'] } })));
    allowed(await operator([...patch(kind, { status: { observedGeneration: 1 } }), '--subresource=status']));
  });
});

describe('pods', () => {
  const patch = (change: unknown) => [
    'patch',
    'pod',
    'some',
    '-n',
    'acme',
    '--type=merge',
    '-p',
    JSON.stringify(change),
    '--dry-run=server',
  ];
  beforeAll(async () => {
    const containers = [{ name: 'main', image: 'registry.example/none:1' }];
    const metadata = { name: 'some', namespace: 'acme', labels: { of: 'a' }, annotations: { its: 'own' } };
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: 'acme' } };
    await admin(['create', '-f', '-'], account);
    const spec = { containers, automountServiceAccountToken: false };
    allowed(await admin(['create', '-f', '-'], { apiVersion: 'v1', kind: 'Pod', metadata, spec }));
  });

  it.each([
    { spec: { activeDeadlineSeconds: 1 } },
    { metadata: { labels: { of: 'b' } } },
    { metadata: { annotations: { its: 'changed' } } },
    { metadata: { annotations: { its: null } } },
    { metadata: { annotations: { new: 'one', 'kanava.dev/secrets-revision': 'shop.1' } } },
  ])('the operator does not change one by %j', async (change) => {
    refusedBy('kanava-pods', await operator(patch(change)));
    allowed(await admin(patch(change)));
  });

  it('it does not change what one runs', async () => {
    const image = ['set', 'image', 'pod/some', 'main=evil.example/image', '-n', 'acme', '--dry-run=server'];
    refusedBy('kanava-pods', await operator(image));
    allowed(await admin(image));
  });

  it('it tells them that a Secret changed', async () => {
    allowed(await operator(patch({ metadata: { annotations: { 'kanava.dev/secrets-revision': 'shop.1' } } })));
  });
});

describe('schema revision', () => {
  const set = (revision: string) => [
    'annotate',
    'crd',
    'integrations.kanava.dev',
    '--overwrite',
    `kanava.dev/schema-revision${revision}`,
  ];

  it('goes up and never down, not for the administrator either', async () => {
    allowed(await admin(set('=7')));
    refusedBy('kanava-schema-revision', await admin(set('=6')));
    refusedBy('kanava-schema-revision', await admin(set('-')));
    refusedBy('kanava-schema-revision', await admin(set('=none')));
    allowed(await admin(set('=8')));
  });

  it("control: other groups' definitions are nobody's business, and without the policy it goes down", async () => {
    allowed(await admin(['delete', 'validatingadmissionpolicybinding', 'kanava-schema-revision']));
    await expect.poll(async () => (await admin(set('=2'))).code, { timeout: 60_000 }).toBe(0);
  });
});

describe('members', () => {
  const as = (role: string) => [`--as=${role}`, '-n', 'acme'];
  beforeAll(async () => {
    for (const role of ['kanava-viewer', 'kanava-member-operator', 'kanava-editor'])
      allowed(await admin(['create', 'rolebinding', role, `--clusterrole=${role}`, `--user=${role}`, '-n', 'acme']));
  });
  const answers = async (role: string, verb: string, resource: string) =>
    (await admin(['auth', 'can-i', verb, ...subresource(resource), ...as(role)])).stdout.trim();

  it.each([
    ['get', 'integrations.kanava.dev', 'yes', 'yes', 'yes'],
    ['get', 'pods/log', 'yes', 'yes', 'yes'],
    ['patch', 'integrations.kanava.dev', 'no', 'yes', 'yes'],
    ['create', 'integrations.kanava.dev', 'no', 'no', 'yes'],
    ['delete', 'connections.kanava.dev', 'no', 'no', 'yes'],
    ['get', 'secrets', 'no', 'no', 'yes'],
    ['create', 'secrets', 'no', 'no', 'yes'],
    ['create', 'pods', 'no', 'no', 'no'],
    ['create', 'pods/exec', 'no', 'no', 'no'],
    ['create', 'pods/portforward', 'no', 'no', 'yes'],
    ['create', 'rolebindings.rbac.authorization.k8s.io', 'no', 'no', 'no'],
    ['patch', 'deployments.apps', 'no', 'no', 'no'],
    ['patch', 'networkpolicies.networking.k8s.io', 'no', 'no', 'no'],
    ['patch', 'integrations.kanava.dev/status', 'no', 'no', 'no'],
  ])('%s %s: Viewer %s, Operator %s, Editor %s', async (verb, resource, ...expected) => {
    const found = await Promise.all(
      ['kanava-viewer', 'kanava-member-operator', 'kanava-editor'].map((role) => answers(role, verb, resource)),
    );
    expect(found).toEqual(expected);
  });
});
