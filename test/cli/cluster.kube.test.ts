import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubeObject } from '../../operator/reconcile/ports.ts';
import { connection, filter, httpSink, integration, tenant } from '../build.ts';
import { storeMessages } from '../operator/reconcile/leftovers.ts';
import {
  type OperatorWorld,
  operatorNamespace,
  startOperatorWorld,
  until,
} from '../operator/reconcile/operator-world.ts';
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

describe('kanava dlq and kanava replay, with access to the cluster alone', () => {
  const as = async (role: string) => {
    await world.kubectl([
      'create',
      'rolebinding',
      role,
      '-n',
      'acme',
      `--clusterrole=${role}`,
      `--user=${role}-member`,
    ]);
    return await world.api.userKubeconfig(`${role}-member`);
  };
  const list = (kubeconfig: string, ...args: string[]) =>
    kanava(['dlq', 'list', 'orders', '-n', 'acme', '--kubeconfig', kubeconfig, ...args]);
  const secret = () => world.get('secret', 'nats-replay-orders', 'acme');

  it('find URL, CA and credentials of the Integration in its namespace', async () => {
    await world.becomes('integrations.kanava.dev', 'orders', { MessagingReady: 'True' }, 'acme');
    await until('the credentials', secret);
    await storeMessages(world, 'orders', 'acme');
    const editor = await as('kanava-editor');
    const { code, stdout, stderr } = await list(editor, '-o', 'json');
    expect([code, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout)).toMatchObject([{ id: 1 }]);
    const discarded = await kanava(['dlq', 'discard', 'orders', '1', '-n', 'acme', '--kubeconfig', editor]);
    expect(discarded).toMatchObject({ code: 0, stdout: expect.stringContaining('discarded 1 dead letter of orders') });
  });

  it('are for those who may read its Secret, and say so', async () => {
    for (const role of ['kanava-viewer', 'kanava-member-operator']) {
      const { code, stderr } = await list(await as(role));
      expect([code, stderr]).toEqual([3, expect.stringContaining('secrets "nats-replay-orders" is forbidden')]);
    }
  });

  it('say that an Integration is not there', async () => {
    const { code, stderr } = await kanava(['dlq', 'list', 'none', '-n', 'acme', '--kubeconfig', world.api.kubeconfig]);
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining('there is no Integration none, or it was never accepted'),
    ]);
  });

  it('may do nothing else with them: they are of the role replay, and of this Integration', async () => {
    const { metadata, data } = (await secret()) as KubeObject & { data: { creds: string } };
    expect(metadata.ownerReferences).toMatchObject([{ kind: 'Integration', name: 'orders' }]);
    const [, jwt = ''] =
      /-----BEGIN NATS USER JWT-----\n(\S+)/.exec(Buffer.from(data.creds, 'base64').toString()) ?? [];
    const claims = JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString());
    expect(claims).toMatchObject({ name: 'replay-orders', nats: { tags: ['i:orders'] } });
    expect(Number(claims.exp) - Number(claims.iat)).toBeLessThanOrEqual(24 * 3_600);
  });

  it('are issued again when somebody deletes them', async () => {
    const before = (await secret())?.metadata.uid;
    await world.kubectl(['delete', 'secret', 'nats-replay-orders', '-n', 'acme']);
    await until('new credentials', async () => {
      const found = await secret();
      return found !== undefined && found.metadata.uid !== before;
    });
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
      const live = await world.get(kind, metadata.name, metadata.namespace);
      expect(live, `${kind} ${metadata.name}`).toMatchObject({ apiVersion, kind, metadata, ...rest });
    }
  });
});

describe('kanava diff', () => {
  const template = async () =>
    ((await world.get('deployment', 'worker-orders', 'acme'))?.['spec'] as { template: unknown } | undefined)?.template;
  /** What is said of a change, and what the operator then does. */
  const tried = async (object: ReturnType<typeof orders>) => {
    const said = await kanava(['diff', '-', '--kubeconfig', world.api.kubeconfig], { stdin: JSON.stringify(object) });
    const before = await template();
    await world.apply(object);
    const { metadata } = (await world.get('integrations.kanava.dev', 'orders', 'acme')) as KubeObject;
    await until('the operator has seen it', async () => {
      const found = await world.get('integrations.kanava.dev', 'orders', 'acme');
      const status = found?.['status'] as { observedGeneration: number } | undefined;
      return status?.observedGeneration === metadata.generation;
    });
    return { ...said, restarts: JSON.stringify(await template()) !== JSON.stringify(before) };
  };

  it('says that pods restart, and they do', async () => {
    const { code, stdout, restarts } = await tried(orders({ steps: [filter('body.total > 10.0')] }));
    expect(code).toBe(1);
    expect(stdout).toContain('  + spec.steps: [{"name":"keep","filter":{"when":"body.total > 10.0"}}]');
    expect(stdout).toContain('Integration acme/orders: workers restart one after the other: its flow changes');
    expect(restarts).toBe(true);
  });
  it('says that none restarts, and none does', async () => {
    const object = orders({ steps: [filter('body.total > 10.0')], scaling: { maxReplicas: 5 } });
    const { code, stdout, restarts } = await tried(object);
    expect([code, stdout]).toEqual([1, expect.stringContaining('No pod restarts, stored messages stay.')]);
    expect(restarts).toBe(false);
    const again = await tried(object);
    expect([again.code, again.stdout]).toEqual([0, expect.stringContaining('Integration acme/orders: unchanged')]);
  });
});
