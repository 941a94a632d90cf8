import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeUser } from '../../../operator/broker/credentials.ts';
import { readAccountKeys } from '../../../operator/plan/account.ts';
import type { KubeObject, TenantBroker } from '../../../operator/reconcile/ports.ts';
import { appliedKey, bucketSubject, deadLetterSubject, inboxPrefix } from '../../../runtime/nats/names.ts';
import { connection, filter, http, httpSink, integration, secretKeyRef, tenant } from '../../build.ts';
import { connectWith } from '../broker/world.ts';
import { sharedFields } from './managers.ts';
import {
  childKinds,
  type OperatorProcess,
  type OperatorWorld,
  operatorNamespace,
  startOperatorWorld,
  until,
} from './operator-world.ts';

/* One Integration through its life: the operator is a process with the chart's rights, against real servers. Tests build on each other. */
const canary = 'canary-7f3e9d-never-outside-of-a-secret';
const secret = (name: string, data: Record<string, string>) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace: 'acme' },
  stringData: data,
});
const good = (changes: Parameters<typeof integration>[0] = {}) =>
  integration({
    sources: [http({ path: '/orders', auth: { bearer: secretKeyRef('shop', 'token') } })],
    steps: [filter('body.total > 10.0')],
    sinks: [httpSink()],
    // What it does when it sleeps is told in scaling.kube.test.ts.
    scaling: { minReplicas: 1 },
    ...changes,
  });

let world: OperatorWorld;
let operator: OperatorProcess;
const orders = async () => (await world.get('integrations.kanava.dev', 'orders', 'acme')) as KubeObject;
const dataOf = (object: KubeObject | undefined) => (object?.['data'] ?? {}) as Readonly<Record<string, string>>;
const worker = async () => world.get('deployment', 'worker-orders', 'acme');
const workers = async () =>
  (await worker().then((found) => found?.['spec'] as { replicas?: number } | undefined))?.replicas;
const flowOf = (deployment: KubeObject | undefined): string =>
  /flow-orders-[0-9a-f]{12}/.exec(JSON.stringify(deployment))?.[0] ?? '';
const account = async (): Promise<{ keys: NonNullable<ReturnType<typeof readAccountKeys>>; broker: TenantBroker }> => {
  const stored = await world.get('secret', 'tenant-keys-acme', operatorNamespace);
  const keys = stored && readAccountKeys(stored);
  if (!keys) throw new Error('the tenant has no keys');
  return { keys, broker: world.nats.broker.tenant(keys) };
};
/** Publishes as a pod of the tenant would. */
const publishAs = async (role: 'worker' | 'gateway', subject: string, payload: string) => {
  const { keys } = await account();
  const name = role === 'worker' ? 'orders' : undefined;
  const connected = await connectWith(
    world.nats.url,
    makeUser(keys, role, name, 60_000).creds,
    inboxPrefix(role, name),
  );
  await connected.request(subject, payload, { timeout: 60_000 });
  await connected.close();
};

beforeAll(async () => {
  world = await startOperatorWorld();
  operator = await world.startOperator({ credentials: { lifetime: '30s' } });
  await world.apply(tenant());
  await world.becomes('tenants.kanava.dev', 'acme', { Ready: 'True' });
  await world.apply(
    secret('shop', { token: canary }),
    connection({ http: { url: 'https://erp.example.com/api', auth: { bearer: secretKeyRef('erp', 'token') } } }),
  );
});
afterAll(async () => {
  await world?.stop();
});

describe('an integration', () => {
  it('waits for a Secret that it names, by name and key, and takes it up by itself', async () => {
    await world.apply(good());
    await world.becomes(
      'integrations.kanava.dev',
      'orders',
      { Accepted: 'True', ConnectionsReady: 'SecretMissing', Stalled: 'True', Ready: 'False' },
      'acme',
    );
    expect((await world.condition('integrations.kanava.dev', 'orders', 'ConnectionsReady', 'acme'))?.message).toContain(
      'Secret erp',
    );
    expect(await worker()).toBeUndefined();
    await world.apply(secret('erp', { token: `${canary}-erp` }));
    await world.becomes(
      'integrations.kanava.dev',
      'orders',
      { ConnectionsReady: 'True', MessagingReady: 'True', Stalled: 'False' },
      'acme',
    );
    await world.becomes('connections.kanava.dev', 'erp', { Ready: 'True', SecretsResolved: 'True' }, 'acme');
    expect((await world.get('connections.kanava.dev', 'erp', 'acme'))?.['status']).toMatchObject({
      endpoints: [{ host: 'erp.example.com', port: 443 }],
      usedBy: 1,
    });
  });

  it('has a worker with one volume, credentials, and an immutable flow', async () => {
    const deployment = await until('one worker', async () => {
      const found = await worker();
      return (found?.['spec'] as { replicas?: number } | undefined)?.replicas === 1 && found;
    });
    const template = (
      deployment['spec'] as { template: { spec: { volumes: unknown[]; containers: { name: string }[] } } }
    ).template;
    expect(template.spec.volumes).toHaveLength(1);
    expect(JSON.stringify(template)).toContain('secrets/erp..token');
    expect(JSON.stringify(template)).not.toContain('shop..token');
    const flow = await world.get('configmap', flowOf(deployment), 'acme');
    expect(flow?.['immutable']).toBe(true);
    expect(JSON.parse(dataOf(flow)['flow.json'] ?? '')).toMatchObject({
      version: 1,
      tenant: 'acme',
      connections: { erp: { http: { url: 'https://erp.example.com/api' } } },
      delivery: { concurrency: 64 },
    });
    expect(await world.get('secret', 'nats-worker-orders', 'acme')).toBeDefined();
  });

  it('has a gateway whose secrets are composed, and routes', async () => {
    const composed = async () => (await world.get('secret', 'gateway-secrets', 'acme'))?.['data'];
    await expect.poll(composed).toEqual({ 'shop..token': Buffer.from(canary).toString('base64') });
    const service = await until('its Service', () => world.get('service', 'gateway', 'acme'));
    expect(service['spec']).toMatchObject({ ports: [{ port: 80, targetPort: 8080 }] });
    await until('one gateway', async () => (await world.get('deployment', 'gateway', 'acme'))?.['spec']);
    const { broker } = await account();
    const names = async () => (await broker.streams()).map(({ name }) => name).sort();
    await expect
      .poll(names)
      .toEqual(['KV_answer', 'KV_gateway', 'KV_state', 'bus', 'dlq_orders', 'inbox_orders', 'tick']);
  });

  it('is ready only when pods are ready and the gateway says that it serves these routes', async () => {
    await world.rollOut('worker-orders', 'acme');
    await world.becomes('integrations.kanava.dev', 'orders', { Ready: 'GatewayNotReady', Reconciling: 'True' }, 'acme');
    const { broker } = await account();
    const revision = (await broker.streams()).find(({ name }) => name === 'KV_gateway')?.lastSequence ?? 0;
    const { uid, generation } = (await orders()).metadata;
    await publishAs(
      'gateway',
      bucketSubject('gateway', appliedKey('orders')),
      JSON.stringify({ uid, generation, revision }),
    );
    await world.becomes(
      'integrations.kanava.dev',
      'orders',
      { Ready: 'Running', Available: 'True', Reconciling: 'False' },
      'acme',
    );
    expect((await orders())['status']).toMatchObject({
      endpoints: ['http://gateway.acme.svc/orders/orders'],
      sources: 'in(http)',
      sinks: 'erp(http)',
    });
  });

  it('composes the gateway secrets again when one of them changes', async () => {
    await world.apply(secret('shop', { token: `${canary}-2` }));
    await until('the new value', async () => {
      const composed = dataOf(await world.get('secret', 'gateway-secrets', 'acme'));
      return Buffer.from(composed['shop..token'] ?? '', 'base64').toString() === `${canary}-2`;
    });
  });

  it('owns every field of its children alone', async () => {
    await until(
      'the scaler alone owns replicas',
      async () => sharedFields((await worker()) as KubeObject).length === 0,
    );
    for (const kind of childKinds)
      for (const object of await world.list(kind, 'acme'))
        expect(sharedFields(object), `${kind} ${object.metadata.name}`).toEqual([]);
  });

  it('shows dead letters', async () => {
    await publishAs('worker', deadLetterSubject('orders', 'erp'), 'a message that failed');
    await until(
      'the count',
      async () => ((await orders())['status'] as { deadLetters?: { count: number } }).deadLetters?.count === 1,
    );
    await world.becomes('integrations.kanava.dev', 'orders', { DeadLetters: 'True', Ready: 'True' }, 'acme');
  });

  it('undoes what others do to its children', async () => {
    await world.kubectl(['set', 'image', 'deployment/worker-orders', 'worker=evil.example/image', '-n', 'acme']);
    await world.kubectl(['scale', 'deployment/worker-orders', '--replicas=7', '-n', 'acme']);
    await world.kubectl(['delete', 'serviceaccount', 'worker-orders', '-n', 'acme']);
    await until('repair', async () => {
      const deployment = await worker();
      const spec = deployment?.['spec'] as { replicas: number };
      return (
        spec.replicas === 1 &&
        !JSON.stringify(spec).includes('evil') &&
        (await world.get('serviceaccount', 'worker-orders', 'acme'))
      );
    });
  });

  it('says that NATS is away, goes on repairing what does not need it, and recovers', async () => {
    await world.nats.kill();
    await world.becomes(
      'integrations.kanava.dev',
      'orders',
      { Ready: 'MessagingUnreachable', Stalled: 'False', Reconciling: 'False' },
      'acme',
    );
    await world.becomes('tenants.kanava.dev', 'acme', { Ready: 'MessagingUnreachable' });
    const before = flowOf(await worker());
    await world.kubectl(['delete', 'deployment', 'worker-orders', '-n', 'acme']);
    const again = await until('the Deployment', worker);
    expect(flowOf(again)).toBe(before);
    await world.nats.start();
    await world.becomes('integrations.kanava.dev', 'orders', { MessagingReady: 'True' }, 'acme');
    await world.becomes('tenants.kanava.dev', 'acme', { Ready: 'True' });
    await until('a worker', async () => (await workers()) === 1);
    await world.rollOut('worker-orders', 'acme');
    await world.becomes('integrations.kanava.dev', 'orders', { Ready: 'True' }, 'acme');
  });

  it('leaves no volume of a Connection that a flow dropped', async () => {
    const before = flowOf(await worker());
    await world.apply(good({ sinks: [] }));
    const changed = await until('the new flow', async () => {
      const deployment = await worker();
      return flowOf(deployment) !== before && deployment;
    });
    expect(JSON.stringify(changed)).not.toContain('erp..token');
    await until('the old flow is gone', async () => !(await world.get('configmap', before, 'acme')));
    await world.apply(good());
    await until('the flow of before', async () => flowOf(await worker()) === before);
  });
});

describe('an integration whose Deployment the cluster refuses', () => {
  const policy = (kind: string, spec: object) => ({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind,
    metadata: { name: 'no-plain-workers' },
    spec,
  });
  const isRefused = () =>
    world
      .kubectl(['create', 'deployment', 'worker-plain', '--image=none', '-n', 'acme', '--dry-run=server'])
      .then(() => false)
      .catch(() => true);

  it('says so without a rehearsal, also when it looks again, and goes on when it is allowed', async () => {
    const resourceRules = [
      { apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['deployments'] },
    ];
    await world.apply(
      policy('ValidatingAdmissionPolicy', {
        matchConstraints: { resourceRules },
        validations: [{ expression: "object.metadata.name != 'worker-plain'", message: 'no plain workers here' }],
      }),
      policy('ValidatingAdmissionPolicyBinding', { policyName: 'no-plain-workers', validationActions: ['Deny'] }),
    );
    await until('the policy is in effect', isRefused);
    const plain = { ...good(), metadata: { name: 'plain', namespace: 'acme' } };
    await world.apply(plain);
    const refused = { Accepted: 'Invalid', Stalled: 'True', Ready: 'False' };
    await world.becomes('integrations.kanava.dev', 'plain', refused, 'acme');
    await world.kubectl(['annotate', 'integrations.kanava.dev', 'plain', '-n', 'acme', 'kanava.dev/bus-gap-seen=1']);
    await world.becomes('integrations.kanava.dev', 'plain', refused, 'acme');
    const accepted = await world.condition('integrations.kanava.dev', 'plain', 'Accepted', 'acme');
    expect(accepted?.message).toContain('no plain workers here');
    expect(await world.get('deployment', 'worker-plain', 'acme')).toBeUndefined();

    await world.kubectl(['delete', 'validatingadmissionpolicybindings', 'no-plain-workers']);
    await world.becomes('integrations.kanava.dev', 'plain', { Accepted: 'True', Stalled: 'False' }, 'acme');
    expect(await world.get('deployment', 'worker-plain', 'acme')).toBeDefined();
    await world.kubectl(['delete', 'integrations.kanava.dev', 'plain', '-n', 'acme']);
  });
});

describe('after a bad edit', () => {
  let flow = '';
  it('says so and keeps what runs', async () => {
    flow = flowOf(await worker());
    await world.apply(good({ steps: [filter('body.total >')] }));
    await world.rollOut('worker-orders', 'acme');
    await world.becomes(
      'integrations.kanava.dev',
      'orders',
      { Accepted: 'InvalidExpression', Ready: 'False', Stalled: 'True', Available: 'True' },
      'acme',
    );
    expect(flowOf(await worker())).toBe(flow);
  });

  it('brings the accepted flow back after a restart of the operator and the loss of the Deployment', async () => {
    expect(await operator.stop()).toBe(0);
    await world.kubectl(['delete', 'deployment', 'worker-orders', '-n', 'acme']);
    await world.kubectl(['delete', 'configmap', flow, '-n', 'acme']);
    operator = await world.startOperator({ credentials: { lifetime: '30s' } });
    const again = await until('the Deployment', worker);
    expect(flowOf(again)).toBe(flow);
    await until('the flow', () => world.get('configmap', flow, 'acme'));
    await until(
      'its worker',
      async () => ((await worker())?.['spec'] as { replicas?: number } | undefined)?.replicas === 1,
    );
  });

  it('goes on renewing its credentials', async () => {
    const creds = async () => dataOf(await world.get('secret', 'nats-worker-orders', 'acme'))['creds'];
    const before = await creds();
    await until('new credentials', async () => (await creds()) !== before, 90_000);
  });

  it('obeys suspend all the same', async () => {
    await world.apply(good({ steps: [filter('body.total >')], suspend: true }));
    await until('no workers', async () => (await workers()) === 0);
    await world.apply(good());
    await world.becomes('integrations.kanava.dev', 'orders', { Accepted: 'True', Suspended: 'False' }, 'acme');
    await until('a worker', async () => (await workers()) === 1);
  });
});

describe('an integration that goes', () => {
  it('keeps its streams with Retain', async () => {
    await world.kubectl(['delete', 'integrations.kanava.dev', 'orders', '-n', 'acme', '--timeout=20s']);
    const names = (await (await account()).broker.streams()).map(({ name }) => name);
    expect(names).toContain('inbox_orders');
    expect(names).toContain('dlq_orders');
  });

  it('takes them up again under its name, and takes them along with Delete', async () => {
    await world.apply(good({ deletionPolicy: 'Delete' }));
    await until(
      'the dead letter of before',
      async () => ((await orders())['status'] as { deadLetters?: { count: number } }).deadLetters?.count === 1,
    );
    await world.kubectl(['delete', 'integrations.kanava.dev', 'orders', '-n', 'acme', '--timeout=20s']);
    const names = (await (await account()).broker.streams()).map(({ name }) => name);
    expect(names).not.toContain('inbox_orders');
    expect(names).not.toContain('dlq_orders');
  });

  it('left no secret value outside of Secrets', async () => {
    const kinds = 'configmaps,deployments,services,integrations.kanava.dev,connections.kanava.dev,events';
    const shown = await world.kubectl(['get', kinds, '-A', '-o', 'json']);
    expect(shown).toContain('erp.example.com');
    for (const value of [canary, Buffer.from(canary).toString('base64').slice(0, 40)]) {
      expect(shown).not.toContain(value);
      expect(world.logs()).not.toContain(value);
    }
  });
});
