import { loadAll } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../operator/reconcile/ports.ts';
import { kanava } from './kanava.ts';

/* That it is what the operator applies is shown on a cluster: cluster.kube.test.ts. */
const example = ['examples/github-issues/tenants.yaml', 'examples/github-issues/acme.yaml'];
const render = async (...args: string[]) => {
  const { code, stdout, stderr } = await kanava(['render', ...args]);
  const objects = loadAll(stdout).filter((one) => one !== undefined && one !== null) as KubeObject[];
  return { code, stdout, stderr, objects, titles: objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`) };
};

describe('kanava render', () => {
  it('shows the wall, the gateway and the worker, in YAML that kubectl could apply', async () => {
    const { code, titles, stdout, stderr } = await render(...example);
    expect([code, stderr]).toEqual([0, '']);
    expect(titles).toEqual(
      expect.arrayContaining([
        'Namespace acme',
        'NetworkPolicy kanava-default-deny',
        'ResourceQuota kanava',
        'ConfigMap nats',
        'Service gateway',
        'Deployment gateway',
        'ConfigMap accepted-github-issues',
        'Deployment worker-github-issues',
      ]),
    );
    expect(stdout).toContain('# NATS account acme: stream inbox_github-issues, workqueue, file, 33554432 bytes');
    expect(stdout).toContain('# Secret acme/nats-worker-github-issues: made by the operator');
    expect(stdout).toContain('# Secret acme/nats-replay-github-issues: made by the operator');
  });
  it('says what NATS holds for the tenant, and what its Integrations hear of it', async () => {
    const files = ['tenant', 'subscribers', 'nightly'].map((name) => `examples/order-events/${name}.yaml`);
    const { code, stdout } = await render(...files);
    expect(code).toBe(0);
    expect(stdout).toContain('# NATS account shop: stream bus, limits, file, 134217728 bytes, 1 replicas');
    expect(stdout).toContain('# NATS Integration shop/order-stock hears events of type order.placed, order.cancelled');
    expect(stdout).toContain('# NATS Integration shop/stock-report: schedule nightly, 0 30 2 * * *, Europe/Helsinki');
  });
  it('shows the pod that fetches, with its volume', async () => {
    const { code, titles, stdout, objects } = await render(
      'examples/order-events/tenant.yaml',
      'examples/article-files/article-files.yaml',
    );
    expect(code).toBe(0);
    expect(titles).toEqual(
      expect.arrayContaining(['ServiceAccount intake-article-files', 'Deployment intake-article-files']),
    );
    expect(stdout).toContain('# Secret shop/nats-intake-article-files: made by the operator');
    const intake = objects.find(
      ({ kind, metadata }) => `${kind} ${metadata.name}` === 'Deployment intake-article-files',
    );
    expect(intake?.['spec']).toMatchObject({
      strategy: { type: 'Recreate' },
      template: { spec: { volumes: [{}, { persistentVolumeClaim: { claimName: 'exchange' } }] } },
    });
  });

  it('assumes a Tenant by name, and takes image, NATS and namespace from flags', async () => {
    const flags = ['--tenant', 'acme', '--image', 'registry.example/runtime:9', '--nats-url', 'nats://nats:4222'];
    const { code, stdout } = await render(example[1] ?? '', ...flags);
    expect(code).toBe(0);
    expect(stdout).toContain('image: registry.example/runtime:9');
    // Without TLS there is no CA to mount.
    expect(stdout).not.toContain('ca.crt');
  });
  it.each([
    ['no Tenant', [example[1] ?? ''], 'acme.yaml:8: Integration acme/github-issues: no Tenant of namespace acme'],
    [
      'a broken object',
      ['examples/bad/duration-zero.yaml', '--tenant', 'acme'],
      'spec.delivery.timeout: write a duration',
    ],
    ['no Connection', ['examples/bad/connection-missing.yaml', '--tenant', 'acme'], 'Connection erp is not in this'],
  ])('says what it cannot render, and ends with 1: %s', async (_, args, text) => {
    const { code, stderr } = await render(...args);
    expect([code, stderr]).toEqual([1, expect.stringContaining(text)]);
  });
  it('ends with 2 for a configuration that is none', async () => {
    const { code, stderr } = await render(...example, '--config', 'package.json');
    expect([code, stderr]).toEqual([2, expect.stringContaining('no configuration of the operator')]);
  });
});
