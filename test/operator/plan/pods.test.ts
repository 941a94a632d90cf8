import { describe, expect, it } from 'vitest';
import { parseConnection, parseIntegration } from '../../../operator/api/parse.ts';
import { planFlowConfig } from '../../../operator/plan/flow.ts';
import { planGateway } from '../../../operator/plan/gateway.ts';
import { planIntake } from '../../../operator/plan/intake.ts';
import { planWorker } from '../../../operator/plan/worker.ts';
import { connection } from '../../build.ts';
import { acme, erp, home, orders, resolved, settings } from './fixtures.ts';

interface Pod {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: {
    readonly volumes: readonly { readonly projected?: { readonly sources: readonly unknown[] } }[];
    readonly containers: readonly Record<string, unknown>[];
    readonly [field: string]: unknown;
  };
}
const podOf = (deployment: { readonly [field: string]: unknown }): Pod =>
  (deployment['spec'] as { template: Pod }).template;
const worker = (changes: Parameters<typeof orders>[0] = {}, tenant = acme()) => {
  const basis = resolved({ parsed: parseIntegration(orders(changes)), tenant });
  return planWorker({
    home,
    tenant,
    settings: settings(),
    nats: { tls: true },
    flow: 'flow-orders-0123456789ab',
    spec: basis.spec,
    references: basis.references.worker,
    claims: basis.claims.worker,
  }).deployment;
};
const exchange = () => connection({ file: { claim: 'exchange' } }, { name: 'exchange' });
const fetching = (suspended = false) => {
  const drop = { name: 'drop', file: { connectionRef: { name: 'exchange' } } };
  const basis = resolved({
    parsed: parseIntegration(orders({ sources: [drop] })),
    connection: (name) => parseConnection(name === 'erp' ? erp() : exchange()),
  });
  return planIntake({
    home,
    tenant: acme(),
    settings: settings(),
    nats: { tls: true },
    flow: 'flow-orders-0123456789ab',
    spec: basis.spec,
    references: basis.references.intake,
    claims: basis.claims.intake,
    suspended,
  }).deployment;
};
const gateway = () => planGateway({ tenant: 'acme', namespace: 'acme' }, acme(), settings(), { tls: true }).deployment;

describe('pods', () => {
  it.each([
    ['worker', worker()],
    ['gateway', gateway()],
    ['intake', fetching()],
  ])('of the %s pass Pod Security restricted', (_name, deployment) => {
    const { spec } = podOf(deployment);
    expect(spec).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 10001, seccompProfile: { type: 'RuntimeDefault' } },
    });
    for (const container of spec.containers)
      expect(container['securityContext']).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
    expect(Object.keys(spec)).not.toEqual(expect.arrayContaining(['hostNetwork']));
    const kinds = spec.volumes.flatMap((volume) => Object.keys(volume)).filter((key) => key !== 'name');
    expect(kinds.every((kind) => ['projected', 'secret', 'configMap', 'persistentVolumeClaim'].includes(kind))).toBe(
      true,
    );
  });

  it('have one volume at the worker, with exactly what the flow names', () => {
    const { volumes } = podOf(worker()).spec;
    expect(volumes).toHaveLength(1);
    expect(volumes[0]?.projected?.sources).toEqual([
      { configMap: { name: 'flow-orders-0123456789ab', items: [{ key: 'flow.json', path: 'flow.json' }] } },
      {
        configMap: {
          name: 'nats',
          items: [
            { key: 'url', path: 'nats/url' },
            { key: 'ca.crt', path: 'nats/ca.crt' },
          ],
        },
      },
      { secret: { name: 'nats-worker-orders', items: [{ key: 'creds', path: 'nats/creds' }] } },
      { configMap: { name: 'erp-ca', items: [{ key: 'ca.pem', path: 'configs/erp-ca..ca.pem' }] } },
      { secret: { name: 'erp', items: [{ key: 'token', path: 'secrets/erp..token' }] } },
    ]);
  });

  it('drop the volume of a Connection that the flow dropped', () => {
    expect(JSON.stringify(worker({ sinks: [] }))).not.toContain('erp');
  });

  it('cannot be made to match other selectors by labels of a user', () => {
    const { labels } = podOf(
      worker({
        podSettings: { labels: { 'app.kubernetes.io/component': 'gateway', 'kanava.dev/tenant': 'globex', team: 'a' } },
      }),
    ).metadata;
    expect(labels).toMatchObject({ 'app.kubernetes.io/component': 'worker', 'kanava.dev/tenant': 'acme', team: 'a' });
  });

  it('mount volumes and files where they are used, and nowhere else', () => {
    const text = JSON.stringify(podOf(fetching()).spec);
    expect(text).toContain('"persistentVolumeClaim":{"claimName":"exchange"}');
    expect(text).toContain('"mountPath":"/volumes/exchange"');
    // Those of the sink's Connection are the worker's.
    expect(text).not.toContain('erp');
    expect(JSON.stringify(worker())).not.toContain('persistentVolumeClaim');
  });

  it('fetch one at a time, and not while the Integration is suspended', () => {
    expect(fetching()['spec']).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } });
    expect(fetching(true)['spec']).toMatchObject({ replicas: 0 });
  });

  it('are placed where the tenant must be', () => {
    const { spec } = podOf(
      worker({}, acme({ workload: { nodeSelector: { pool: 'acme' }, runtimeClassName: 'gvisor' } })),
    );
    expect(spec).toMatchObject({ nodeSelector: { pool: 'acme' }, runtimeClassName: 'gvisor' });
  });

  it('do not say how many they are: that is the scaler’s', () => {
    expect(worker()['spec']).not.toHaveProperty('replicas');
  });
});

describe('a flow', () => {
  it('has the same name for the same content, whatever generation it is of', () => {
    const first = resolved();
    const later = resolved({
      identity: { tenant: 'acme', namespace: 'acme', integration: 'orders', uid: 'uid-1', generation: 9 },
    });
    const scaled = resolved({ parsed: parseIntegration(orders({ scaling: { maxReplicas: 3 } })) });
    const other = resolved({ parsed: parseIntegration(orders({ steps: [] })) });
    expect(later.hash).toBe(first.hash);
    expect(scaled.hash).toBe(first.hash);
    expect(other.hash).not.toBe(first.hash);
  });

  it('is immutable and holds references, never values', () => {
    const config = planFlowConfig(home, resolved().flow);
    expect(config['immutable']).toBe(true);
    const flow = JSON.parse((config['data'] as { 'flow.json': string })['flow.json']) as Record<string, unknown>;
    expect(flow['connections']).toMatchObject({
      erp: { http: { auth: { bearer: { secretKeyRef: { name: 'erp', key: 'token' } } } } },
    });
    expect(flow['delivery']).toEqual({
      timeout: '30s',
      ordering: 'None',
      partitions: 1,
      concurrency: 64,
      retry: {
        attempts: 5,
        backoff: {
          initial: '1s',
          max: '5m',
        },
      },
    });
  });
});
