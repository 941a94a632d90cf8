import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readAccountKeys } from '../../../operator/plan/account.ts';
import { connection, http, integration, tenant } from '../../build.ts';
import { type OperatorWorld, operatorNamespace, startOperatorWorld, until } from './operator-world.ts';

/* Tenants as the platform team uses them: claims, adoption, members, suspension, deletion. Against real servers, with the chart's rights. */
const named = (name: string, spec: Parameters<typeof tenant>[0] = {}) =>
  tenant({ namespace: { name }, ...spec }, { name });
const listening = (namespace: string) => integration({ sources: [http()], scaling: { minReplicas: 1 } }, { namespace });

let world: OperatorWorld;
const tenants = 'tenants.kanava.dev';
const integrations = 'integrations.kanava.dev';
const keysOf = async (name: string) => {
  const stored = await world.get('secret', `tenant-keys-${name}`, operatorNamespace);
  return stored && readAccountKeys(stored);
};
const streamsOf = async (name: string) => {
  const keys = await keysOf(name);
  if (!keys) throw new Error(`no keys of ${name}`);
  return (await world.nats.broker.tenant(keys).streams()).map((stream) => stream.name).sort();
};
const pods = async (name: string, namespace: string) =>
  ((await world.get('deployment', name, namespace))?.['spec'] as { replicas?: number } | undefined)?.replicas;

beforeAll(async () => {
  world = await startOperatorWorld();
});
afterAll(async () => {
  await world?.stop();
});

/** As the operator would give itself the Secrets there. */
const bindInKubeSystem = [
  `--as=system:serviceaccount:${operatorNamespace}:kanava-operator`,
  'create',
  'rolebinding',
  'kanava-operator-tenant',
  '--namespace=kube-system',
  '--clusterrole=kanava-operator-tenant',
  `--serviceaccount=${operatorNamespace}:kanava-operator`,
  '--dry-run=server',
];

describe('before anything is written', () => {
  it('refuses to start while a binding in kube-system would be accepted', async () => {
    const policy = 'validatingadmissionpolicybinding/kanava-bindings';
    const stored = JSON.parse(await world.kubectl(['get', policy, '-o', 'json'])) as {
      metadata: { name: string };
      spec: unknown;
    };
    await world.kubectl(['delete', policy]);
    // The server goes by it for a moment longer.
    await until('it is not in effect', async () => (await world.api.kubectl(bindInKubeSystem)).code === 0);
    await world.startOperator();
    await world.apply(named('early'));
    await until('its refusal', async () => world.logs().includes('not starting yet'));
    expect(world.logs()).toContain('kanava-bindings');
    expect(await world.get('namespace', 'early')).toBeUndefined();
    // The control: with the policy in effect the same process goes on.
    await world.apply({
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: { name: stored.metadata.name },
      spec: stored.spec,
    });
    await world.becomes(tenants, 'early', { Ready: 'True' });
  });
});

describe('the namespace', () => {
  it('goes to the oldest claim', async () => {
    await world.apply(named('first', { namespace: { name: 'shared' } }));
    await world.becomes(tenants, 'first', { Ready: 'True' });
    await world.apply(named('second', { namespace: { name: 'shared' } }));
    await world.becomes(tenants, 'second', { NamespaceReady: 'NamespaceTaken', Ready: 'False', Stalled: 'True' });
    await world.becomes(tenants, 'first', { Ready: 'True' });
  });

  it("is never the operator's own", async () => {
    await world.apply(named('greedy', { namespace: { name: operatorNamespace } }));
    await world.becomes(tenants, 'greedy', { Accepted: 'NamespaceReserved', Stalled: 'True' });
  });

  it('is adopted only when its owner says so', async () => {
    await world.kubectl(['create', 'namespace', 'legacy']);
    await world.apply(named('legacy', { namespace: { name: 'legacy', adopt: true } }));
    await world.becomes(tenants, 'legacy', { NamespaceReady: 'AdoptionNotAllowed', Stalled: 'True' });
    expect((await world.get('namespace', 'legacy'))?.metadata.labels).not.toHaveProperty('kanava.dev/tenant');
    await world.kubectl(['annotate', 'namespace', 'legacy', 'kanava.dev/adopt=legacy']);
    await world.becomes(tenants, 'legacy', { Ready: 'True' });
    expect((await world.get('namespace', 'legacy'))?.metadata.labels).toMatchObject({
      'kanava.dev/tenant': 'legacy',
      'pod-security.kubernetes.io/enforce': 'restricted',
    });
  });

  it('that is no tenant’s runs nothing', async () => {
    await world.kubectl(['create', 'namespace', 'nobody']);
    await world.apply(listening('nobody'), connection(undefined, { namespace: 'nobody' }));
    await world.becomes(integrations, 'orders', { Accepted: 'NoTenant', Stalled: 'True', Ready: 'False' }, 'nobody');
    await world.becomes('connections.kanava.dev', 'erp', { Accepted: 'NoTenant' }, 'nobody');
    expect(await world.list('deployments', 'nobody')).toEqual([]);
  });
});

describe('a tenant', () => {
  it('has policies, quotas and bindings, and loses those that are not planned any more', async () => {
    await world.apply(
      named('acme', {
        members: [
          { kind: 'User', name: 'ann', role: 'Viewer' },
          { kind: 'Group', name: 'devs', role: 'Editor' },
        ],
      }),
    );
    await world.becomes(tenants, 'acme', {
      Ready: 'True',
      PoliciesReady: 'True',
      CapacityOk: 'True',
      Durable: 'SyncAlways',
    });
    const names = async (kind: string) => (await world.list(kind, 'acme')).map(({ metadata }) => metadata.name).sort();
    expect(await names('rolebindings')).toEqual(['kanava-editor', 'kanava-operator-tenant', 'kanava-viewer']);
    expect(await names('networkpolicies')).toEqual([
      'kanava-default-deny',
      'kanava-dns',
      'kanava-egress',
      'kanava-gateway',
      'kanava-nats',
    ]);
    expect(await names('resourcequotas')).toEqual(['kanava']);
    await world.apply(named('acme', { members: [{ kind: 'Group', name: 'devs', role: 'Editor' }] }));
    await until('the viewer is gone', async () => (await names('rolebindings')).length === 2);
    await world.kubectl(['delete', 'networkpolicy', 'kanava-default-deny', '-n', 'acme']);
    await until('the policy is back', async () => (await names('networkpolicies')).includes('kanava-default-deny'));
  });

  // Its controller learns of new CRDs 30 s late: until then the quota would refuse every Integration, and for minutes after it.
  it('gets its quota made anew when that refuses what it should count', async () => {
    const uid = async () => (await world.get('resourcequota', 'kanava', 'acme'))?.metadata.uid;
    const before = await uid();
    const status = { hard: { 'count/integrations.kanava.dev': '20', pods: '82' }, used: { pods: '0' } };
    const patch = ['--subresource=status', '--type=merge', '-p', JSON.stringify({ status })];
    await world.kubectl(['patch', 'resourcequota', 'kanava', '-n', 'acme', ...patch]);
    await until('a new quota', async () => ![undefined, before].includes(await uid()));
    await world.becomes(tenants, 'acme', { PoliciesReady: 'True', Ready: 'True' });
  });

  it('that is suspended has no pods and no open account, and comes back', async () => {
    await world.apply(listening('acme'));
    await world.becomes(integrations, 'orders', { MessagingReady: 'True', Active: 'True' }, 'acme');
    await until(
      'pods',
      async () => (await pods('gateway', 'acme')) === 1 && (await pods('worker-orders', 'acme')) === 1,
    );
    await world.apply(named('acme', { suspend: true }));
    await until(
      'no pods',
      async () => (await pods('gateway', 'acme')) === 0 && (await pods('worker-orders', 'acme')) === 0,
    );
    await world.becomes(tenants, 'acme', { Ready: 'True', Suspended: 'True' });
    await world.becomes(integrations, 'orders', { Ready: 'True', Suspended: 'TenantSuspended' }, 'acme');
    await world.apply(named('acme'));
    await world.becomes(tenants, 'acme', { Ready: 'True', Suspended: 'False' });
    await world.becomes(integrations, 'orders', { MessagingReady: 'True' }, 'acme');
    await until(
      'pods',
      async () => (await pods('gateway', 'acme')) === 1 && (await pods('worker-orders', 'acme')) === 1,
    );
    expect(await streamsOf('acme')).toContain('inbox_orders');
  });

  it('shows that its streams do not fit', async () => {
    await world.apply(
      integration({ sources: [http()], inbox: { maxBytes: '3Gi' } }, { name: 'large', namespace: 'acme' }),
    );
    await world.becomes(integrations, 'large', { MessagingReady: 'CapacityExceeded', Stalled: 'True' }, 'acme');
    await world.kubectl(['delete', integrations, 'large', '-n', 'acme', '--timeout=20s']);
  });

  it('has its objects refused by name when a limit forbids them', async () => {
    await world.apply(named('acme', { connectors: { allow: ['schedule'] } }));
    await world.becomes(integrations, 'orders', { Accepted: 'ConnectorNotAllowed', Stalled: 'True' }, 'acme');
    await world.apply(named('acme'));
    await world.becomes(integrations, 'orders', { Accepted: 'True' }, 'acme');
  });
});

describe('a tenant that goes', () => {
  it('keeps namespace, keys and streams with Retain, stops its pods, and takes all up again', async () => {
    const before = await keysOf('acme');
    await world.kubectl(['delete', tenants, 'acme', '--timeout=30s']);
    expect(await keysOf('acme')).toEqual(before);
    expect(await pods('worker-orders', 'acme')).toBeUndefined();
    expect((await world.get('namespace', 'acme'))?.metadata.deletionTimestamp).toBeUndefined();
    await world.becomes(integrations, 'orders', { Accepted: 'NoTenant' }, 'acme');
    await world.apply(named('acme'));
    await world.becomes(integrations, 'orders', { Accepted: 'True', MessagingReady: 'True' }, 'acme');
    expect(await keysOf('acme')).toEqual(before);
    expect(await streamsOf('acme')).toContain('inbox_orders');
  });

  it('takes everything with it with Delete', async () => {
    const keys = await keysOf('acme');
    await world.apply(named('acme', { deletionPolicy: 'Delete' }));
    await world.kubectl(['delete', tenants, 'acme', '--timeout=30s']);
    expect((await world.get('namespace', 'acme'))?.metadata.deletionTimestamp).toBeDefined();
    expect(await keysOf('acme')).toBeUndefined();
    // No namespace controller runs here: it would delete what is inside.
    await world.kubectl(['delete', integrations, 'orders', '-n', 'acme', '--timeout=20s']);
    await expect(world.nats.broker.tenant(keys as NonNullable<typeof keys>).streams()).rejects.toThrow();
  });
});
