import { afterAll, beforeAll, describe, it, vi } from 'vitest';
import { makeUser } from '../../operator/broker/credentials.ts';
import { deadLetterSubject, inboxPrefix } from '../../runtime/nats/names.ts';
import { connection, filter, http, httpSink, integration, map, tenant } from '../build.ts';
import { connectWith } from '../operator/broker/world.ts';
import {
  type OperatorWorld,
  operatorNamespace,
  startOperatorWorld,
  until,
} from '../operator/reconcile/operator-world.ts';
import { accountOf, startStandIns } from '../operator/reconcile/stand-ins.ts';

/*
 * States that no other test of the operator brings about, so that each of the catalogue is recorded (health.test.ts) and judged as every
 * status is (status-honesty.ts). One server, one operator, a tenant for each story that would disturb another.
 */
const [tenants, integrations] = ['tenants.kanava.dev', 'integrations.kanava.dev'];
const named = (name: string, spec: Parameters<typeof tenant>[0] = {}) =>
  tenant({ namespace: { name }, ...spec }, { name });

vi.setConfig({ testTimeout: 300_000 });
let world: OperatorWorld;
beforeAll(async () => {
  world = await startOperatorWorld({ jetstream: 'max_file_store: 20GB' });
  await world.startOperator();
  await world.apply(named('acme'));
  await world.becomes(tenants, 'acme', { Ready: 'True' });
});
afterAll(async () => {
  await world?.stop();
});
const becomes = (name: string, expected: Readonly<Record<string, string>>, namespace = 'acme') =>
  world.becomes(integrations, name, expected, namespace);
const remove = (kind: string, name: string, ...more: string[]) => world.kubectl(['delete', kind, name, ...more]);

describe('a Tenant', () => {
  it('on servers that sync now and then', () => world.becomes(tenants, 'acme', { Durable: 'Relaxed', Ready: 'True' }));

  it('whose labels YAML has read as booleans', async () => {
    await world.apply(named('ambiguous', { workload: { nodeSelector: { true: 'x' } } }));
    await world.becomes(tenants, 'ambiguous', { Accepted: 'AmbiguousKey', NamespaceReady: 'Waiting', Stalled: 'True' });
  });

  it('whose quota the API server refuses', async () => {
    await world.apply(named('refused', { quota: { compute: { 'limits.of.nothing/at/all': '1' } } }));
    await world.becomes(tenants, 'refused', { PoliciesReady: 'Refused' });
  });

  it('whose keys are not whole', async () => {
    await world.apply(named('broken'));
    await world.becomes(tenants, 'broken', { Ready: 'True' });
    const secret = ['secret', 'tenant-keys-broken', '-n', operatorNamespace];
    await world.kubectl(['patch', ...secret, '--type=json', '-p', '[{"op": "remove", "path": "/data"}]']);
    await world.apply(named('broken', { displayName: 'changed' }));
    await world.becomes(tenants, 'broken', { MessagingReady: 'Refused' });
  });

  it('whose namespace goes', async () => {
    await world.apply(named('going'));
    await world.becomes(tenants, 'going', { Ready: 'True' });
    await remove('namespace', 'going', '--wait=false');
    await world.becomes(tenants, 'going', { NamespaceReady: 'Terminating' });
  });

  it('that is given less than its Integrations have', async () => {
    await world.apply(named('small'));
    await world.becomes(tenants, 'small', { Ready: 'True' });
    await world.apply(integration({}, { namespace: 'small' }));
    await becomes('orders', { MessagingReady: 'True' }, 'small');
    await world.apply(named('small', { messaging: { storage: '8Mi' } }));
    await world.becomes(tenants, 'small', { CapacityOk: 'Exceeded', Stalled: 'True' });
  });
});

describe('an Integration', () => {
  it('whose flow is too large', async () => {
    await world.apply(integration({ steps: [map({ text: 'x'.repeat(940_000) })] }, { name: 'large' }));
    await becomes('large', { Accepted: 'FlowTooLarge', Stalled: 'True' });
  });

  it('whose Connection trusts a CA that is not there', async () => {
    const tls = { caRef: { kind: 'ConfigMap', name: 'nowhere', key: 'ca.crt' } };
    await world.apply(connection({ http: { url: 'https://erp.example.com', tls } }));
    await world.apply(integration({ sinks: [httpSink()] }, { name: 'trusting' }));
    await becomes('trusting', { ConnectionsReady: 'ConfigMapMissing', Stalled: 'True' });
  });

  it('that starts, and whose dead letters have no room', async () => {
    await world.apply(
      integration({ deadLetter: { maxBytes: '1Mi' }, scaling: { minReplicas: 1 } }, { name: 'failing' }),
    );
    await becomes('failing', { MessagingReady: 'True', Ready: 'GatewayNotReady' });
    const gateway = await startStandIns(world, 'acme', { pods: false });
    await becomes('failing', { Ready: 'Starting' });
    await gateway.stop();
    const all = await startStandIns(world, 'acme');
    await becomes('failing', { Ready: 'Running' });
    await all.stop();
    const keys = await accountOf(world, 'acme');
    const creds = makeUser(keys, 'worker', 'failing', 60_000).creds;
    const worker = await connectWith(world.nats.url, creds, inboxPrefix('worker', 'failing'));
    let answer = '';
    while (!answer.includes('error'))
      answer = (await worker.request(deadLetterSubject('failing', 'erp'), 'x'.repeat(10_000))).string();
    await worker.close();
    await world.apply(
      integration(
        { deadLetter: { maxBytes: '1Mi' }, scaling: { minReplicas: 1 }, description: 'changed' },
        { name: 'failing' },
      ),
    );
    await becomes('failing', { Stalled: 'DeadLettersFull' });
  });

  it('that finds the stream of another of its name', async () => {
    await world.apply(integration({}, { name: 'again' }));
    await becomes('again', { MessagingReady: 'True' });
    await remove(integrations, 'again', '-n', 'acme', '--timeout=60s');
    await world.apply(integration({ inbox: { storage: 'Memory' } }, { name: 'again' }));
    await becomes('again', { MessagingReady: 'StreamImmutable', Stalled: 'True' });
  });

  it('whose objects somebody else forbids', async () => {
    const policy = { apiVersion: 'admissionregistration.k8s.io/v1', metadata: { name: 'no-flows' } };
    const matchConstraints = {
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'forbidding' } },
      resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'], operations: ['CREATE'] }],
    };
    const validations = [{ expression: '!object.metadata.name.startsWith("flow-")', message: 'no flows here' }];
    await world.apply(
      { ...policy, kind: 'ValidatingAdmissionPolicy', spec: { failurePolicy: 'Fail', matchConstraints, validations } },
      {
        ...policy,
        kind: 'ValidatingAdmissionPolicyBinding',
        spec: { policyName: 'no-flows', validationActions: ['Deny'] },
      },
      named('forbidding'),
    );
    await world.becomes(tenants, 'forbidding', { Ready: 'True' });
    // The API server goes by a new policy a moment later.
    const flow = ['create', 'configmap', 'flow-x', '-n', 'forbidding', '--dry-run=server'];
    await until('the policy', async () => (await world.api.kubectl(flow)).stderr.includes('no flows here'));
    await world.apply(integration({}, { namespace: 'forbidding' }));
    await becomes('orders', { Ready: 'Error' }, 'forbidding');
  });
});

describe('without NATS', () => {
  it('nothing is ready that was not, and what goes says what it waits for', async () => {
    await world.apply(integration({ deletionPolicy: 'Delete', steps: [filter('true')] }, { name: 'leaving' }));
    await becomes('leaving', { MessagingReady: 'True' });
    await world.apply(named('leaving', { deletionPolicy: 'Delete' }));
    await world.becomes(tenants, 'leaving', { Ready: 'True' });
    await world.nats.kill();
    await world.apply(named('late'));
    await until('its namespace', () => world.get('namespace', 'late'));
    await world.apply(integration({ sources: [http()] }, { namespace: 'late' }));
    await world.becomes(tenants, 'late', { Ready: 'MessagingUnreachable', Reconciling: 'NewGeneration' });
    await becomes('orders', { Ready: 'Waiting' }, 'late');
    await remove(integrations, 'leaving', '-n', 'acme', '--wait=false');
    await becomes('leaving', { Ready: 'Deleting', Reconciling: 'Deleting' });
    await remove(tenants, 'leaving', '--wait=false');
    await world.becomes(tenants, 'leaving', { Ready: 'Deleting', Reconciling: 'Deleting' });
    await world.nats.start();
    await world.becomes(tenants, 'late', { Ready: 'True' });
  });
});
