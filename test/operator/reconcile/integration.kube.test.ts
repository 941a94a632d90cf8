import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connection, filter, http, httpSink, integration, secretKeyRef, tenant } from '../../build.ts';
import { type OperatorProcess, type OperatorWorld, startOperatorWorld, until } from './operator-world.ts';

/* The operator as a process with its own rights, against a real API server and a real nats-server. */
const canary = 'canary-7f3e9d-never-outside-of-a-secret';
const secret = (name: string, data: Record<string, string>) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace: 'acme' },
  stringData: data,
});

let world: OperatorWorld;
let operator: OperatorProcess;
const condition = async (kind: string, name: string, type: string, namespace?: string) => {
  const object = await world.get(kind, name, namespace);
  const { conditions = [] } = (object?.['status'] ?? {}) as {
    conditions?: { type: string; status: string; reason: string; message: string }[];
  };
  return conditions.find((found) => found.type === type);
};
const becomes = (kind: string, name: string, expected: Record<string, string>, namespace?: string) =>
  until(`${kind} ${name}: ${JSON.stringify(expected)}`, async () => {
    for (const [type, wanted] of Object.entries(expected)) {
      const found = await condition(kind, name, type, namespace);
      if (`${found?.status}/${found?.reason}` !== wanted && found?.status !== wanted) return false;
    }
    return true;
  });

beforeAll(async () => {
  world = await startOperatorWorld();
  operator = await world.startOperator();
});
afterAll(async () => {
  await world?.stop();
});

describe('a tenant and its integration', () => {
  it('makes the wall', async () => {
    await world.apply(tenant({ members: [{ kind: 'Group', name: 'acme-devs', role: 'Editor' }] }));
    await becomes('tenants.kanava.dev', 'acme', { Ready: 'True', MessagingReady: 'True', Durable: 'True' });
    const policies = await world.list('networkpolicies', 'acme');
    expect(policies.map(({ metadata }) => metadata.name)).toContain('kanava-default-deny');
    const bindings = await world.list('rolebindings', 'acme');
    expect(bindings.map(({ metadata }) => metadata.name).sort()).toEqual(['kanava-editor', 'kanava-operator-tenant']);
  });

  it('puts an integration in place', async () => {
    await world.apply(
      secret('shop', { token: canary }),
      secret('erp', { token: `${canary}-erp` }),
      connection({ http: { url: 'https://erp.example.com/api', auth: { bearer: secretKeyRef('erp', 'token') } } }),
      integration({
        sources: [http({ path: '/orders', auth: { bearer: secretKeyRef('shop', 'token') } })],
        steps: [filter('body.total > 10.0')],
        sinks: [httpSink()],
      }),
    );
    await becomes(
      'integrations.kanava.dev',
      'orders',
      { Accepted: 'True', ConnectionsReady: 'True', MessagingReady: 'True' },
      'acme',
    );
    const deployment = await until('the worker', () => world.get('deployment', 'worker-orders', 'acme'));
    expect(deployment['spec']).toMatchObject({ replicas: 1, revisionHistoryLimit: 1 });
  });
});
