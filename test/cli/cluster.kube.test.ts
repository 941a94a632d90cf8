import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubeObject } from '../../operator/reconcile/ports.ts';
import { connection, httpSink, integration, tenant } from '../build.ts';
import { type OperatorWorld, operatorNamespace, startOperatorWorld } from '../operator/reconcile/operator-world.ts';
import { kanava } from './kanava.ts';

/* The commands that read a cluster, against a real API server and the operator. */
let world: OperatorWorld;
let folder: string;
const run = (...args: string[]) => kanava([...args, '--kubeconfig', world.api.kubeconfig]);
const orders = (spec: Parameters<typeof integration>[0] = {}) => integration({ sinks: [httpSink()], ...spec });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kanava-cli-'));
  world = await startOperatorWorld();
});
afterAll(async () => {
  await world?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('kanava status', () => {
  it('says before the operator has seen an object that it has not', async () => {
    await world.apply(tenant());
    const { code, stdout } = await run('status', '-n', 'acme');
    expect([code, stdout]).toEqual([1, expect.stringContaining('Tenant acme: NotObserved')]);
  });

  it('says what is missing and what to do, first', async () => {
    await world.startOperator();
    await world.becomes('tenants.kanava.dev', 'acme', { Ready: 'True' });
    await world.apply(orders());
    await world.becomes('integrations.kanava.dev', 'orders', { Stalled: 'True' }, 'acme');
    const { code, stdout } = await run('status', '-A');
    expect(code).toBe(1);
    expect(stdout.split('\n').slice(0, 3)).toEqual([
      'Integration acme/orders: ConnectionMissing',
      '  spec.sinks[0].http.connectionRef: Connection erp is not in this namespace; create it or correct the name',
      '  -> Make the Connection or correct the name.',
    ]);
    expect(stdout).toMatch(/^acme +orders +False +Stalled +0\/0 +0 +0$/m);
  });

  it('says of one Integration where it accepts and every condition', async () => {
    await world.apply(connection());
    await world.becomes('integrations.kanava.dev', 'orders', { Accepted: 'True', ConnectionsReady: 'True' }, 'acme');
    const { stdout } = await run('status', 'orders', '-n', 'acme');
    expect(stdout).toContain('From in(http) to erp(http)');
    expect(stdout).toContain('  accepts at http://gateway.acme.svc/orders/in');
    expect(stdout).toMatch(/^ {2}Accepted +True +Accepted$/m);
  });

  it('is JSON for programs', async () => {
    const { stdout } = await run('status', '-n', 'acme', '-o', 'json');
    expect(JSON.parse(stdout)).toMatchObject({ integrations: [{ namespace: 'acme', name: 'orders' }] });
  });

  it('takes the namespace of the context, and shows members of a tenant what they may see', async () => {
    const kubeconfig = await world.api.userKubeconfig('viewer');
    await world.kubectl([
      'create',
      'rolebinding',
      'viewer',
      '-n',
      'acme',
      '--clusterrole=kanava-viewer',
      '--user=viewer',
    ]);
    expect((await kanava(['status', '-n', 'acme', '--kubeconfig', kubeconfig])).stdout).toContain('orders');
    const { stdout } = await run('status');
    expect(stdout).toContain('no Integration in default');
  });

  it.each([
    ['a user without rights', async () => world.api.userKubeconfig('nobody'), 3, 'cannot list resource'],
    ['no kubeconfig', async () => join(folder, 'none'), 3, 'no cluster to talk to'],
  ])('ends with 3 without access: %s', async (_, kubeconfig, exit, text) => {
    const { code, stderr } = await kanava(['status', '-A', '--kubeconfig', await kubeconfig()]);
    expect([code, stderr]).toEqual([exit, expect.stringContaining(text)]);
  });

  it('ends with 1 for an Integration that is not there', async () => {
    const { code, stderr } = await run('status', 'none', '-n', 'acme');
    expect([code, stderr]).toEqual([1, expect.stringContaining('there is no Integration none in namespace acme')]);
  });
});

describe('kanava render', () => {
  it('shows what the operator has applied', async () => {
    await world.becomes('integrations.kanava.dev', 'orders', { MessagingReady: 'True' }, 'acme');
    const kinds = 'integrations.kanava.dev,connections.kanava.dev,tenants.kanava.dev';
    const stored = await world.kubectl(['get', kinds, '-A', '-o', 'yaml']);
    const config = join(folder, 'config.json');
    await writeFile(
      config,
      JSON.stringify({
        runtime: { image: 'registry.example/kanava/runtime:test' },
        nats: { url: world.nats.url, network: { namespace: operatorNamespace, podLabels: { app: 'nats' } } },
      }),
    );
    const { code, stdout, stderr } = await kanava(['render', '-', '--config', config, '-o', 'json'], { stdin: stored });
    expect([code, stderr]).toEqual([0, '']);
    const { objects } = JSON.parse(stdout) as { objects: KubeObject[] };
    expect(objects.length).toBeGreaterThan(15);
    for (const { apiVersion, kind, metadata, ...rest } of objects) {
      const type = apiVersion.includes('/') ? `${kind}.${apiVersion.split('/')[1]}.${apiVersion.split('/')[0]}` : kind;
      const live = await world.get(type, metadata.name, metadata.namespace);
      expect(live, `${kind} ${metadata.name}`).toMatchObject({ apiVersion, kind, metadata, ...rest });
    }
  });
});
