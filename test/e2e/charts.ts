import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { CommandResult } from '../cluster/command.ts';
import { mustKubectl } from '../cluster/kubectl.ts';
import {
  chartValues,
  installChart,
  kanavaChart,
  type Platform,
  provideImages,
  runHelm,
  systemNamespace,
  uninstallChart,
} from './demo/platform.ts';
import { createReport } from './demo/report.ts';
import { podsOf } from './pods.ts';

/*
 * The three charts through a life on a real node, with real hook Jobs: what test/charts has with stand-ins. One story: each test goes on
 * where the one before it ended.
 */
export const chartsLife = (platform: Platform) =>
  describe('the charts', () => {
    const { kubectl } = platform;
    const run = (...args: string[]) => mustKubectl(kubectl, args);
    const chart = (name: string) => join(kanavaChart, '..', name);
    const wait = ['--wait', '--timeout', '150s'];
    const workers = () => podsOf(kubectl, 'acme', 'app.kubernetes.io/component=worker');
    const workerNames = async () => (await workers()).map(({ metadata }) => metadata.name);

    let images: Record<string, string>;
    const helm = (args: readonly string[], values?: unknown): Promise<CommandResult> =>
      values === undefined
        ? runHelm(platform, [...args])
        : runHelm(platform, [...args, '--values', '-'], JSON.stringify(values));
    const mustHelm = async (...args: Parameters<typeof helm>): Promise<string> => {
      const { code, stdout, stderr } = await helm(...args);
      expect(code, `helm ${args[0].join(' ')}: ${stderr}\n${stdout}`).toBe(0);
      return stdout;
    };
    const upgradeKanava = (operator: object) =>
      mustHelm(['upgrade', 'kanava', kanavaChart, '--reset-values', ...wait], {
        ...chartValues(platform, images),
        operator,
      });
    const statusOf = async () =>
      (JSON.parse(await mustHelm(['status', 'kanava', '-o', 'json'])) as { info: { status: string } }).info.status;
    const isReady = () =>
      run('wait', '--for=condition=Ready', 'integrations.kanava.dev/orders', '-n', 'acme', '--timeout=60s');
    /** What Helm applied against what is there; exit code 0 is no difference. */
    const differences = async (): Promise<string> => {
      const manifest = await mustHelm(['get', 'manifest', 'shop', '--namespace', 'acme']);
      const { code, stdout, stderr } = await kubectl(['diff', '-f', '-'], { stdin: manifest });
      return code === 0 ? '' : `${stdout}${stderr}`;
    };

    const tenants = { tenants: { acme: { namespace: { name: 'acme' } } } };
    const installTenants = () => mustHelm(['install', 'tenants', chart('kanava-tenant'), ...wait], tenants);
    const shop = {
      connections: { erp: { http: { url: 'https://erp.example.com' } } },
      integrations: {
        orders: {
          sources: { shop: { http: { path: '/orders' } } },
          sinks: { erp: { http: { connectionRef: { name: 'erp' } } } },
          scaling: { minReplicas: 1 },
        },
      },
    };
    const inAcme = ['--namespace', 'acme'];
    const installShop = () => mustHelm(['install', 'shop', chart('kanava-integrations'), ...inAcme, ...wait], shop);

    beforeAll(async () => {
      await platform.provider.up(() => {});
      await uninstallChart(platform);
      images = await provideImages(
        platform,
        createReport(() => {}),
      );
    }, 300_000);

    it('are installed, each until it is ready', async () => {
      await installChart(platform, images);
      await installTenants();
      await installShop();
      expect(await workerNames()).toHaveLength(1);
      // Helm ended: so it is ready now, and not in a moment.
      await run('wait', '--for=condition=Ready', 'integrations.kanava.dev/orders', ...inAcme, '--timeout=0s');
    }, 300_000);

    it('leave integrations alone while the platform is upgraded and rolled back', async () => {
      const before = await workerNames();
      await upgradeKanava({ logLevel: 'debug' });
      await mustHelm(['rollback', 'kanava', ...wait]);
      expect(await statusOf()).toBe('deployed');
      await isReady();
      expect(await workerNames()).toEqual(before);
      expect(await differences()).toBe('');
    }, 400_000);

    it('are not uninstalled under integrations; the command that the refusal prints repairs the release', async () => {
      const { code, stdout, stderr } = await helm(['uninstall', 'kanava', ...wait]);
      expect(code).not.toBe(0);
      const said = `${stdout}${stderr}`;
      expect(said).toContain('1 Integration exists: acme/orders.');
      expect(await statusOf()).toBe('uninstalling');
      // Control: the release is broken, and nothing is gone.
      const args = ['upgrade', 'kanava', kanavaChart, '--reset-values'];
      expect((await helm(args, chartValues(platform, images))).code).not.toBe(0);
      await isReady();
      const repair = /: helm (rollback kanava [0-9]+ --namespace kanava-system) /.exec(said)?.[1];
      expect(repair, said).toBeDefined();
      await mustHelm((repair ?? '').split(' '));
      expect(await statusOf()).toBe('deployed');
      await upgradeKanava({ logLevel: 'info' });
      await isReady();
      expect(await differences()).toBe('');
    }, 400_000);

    it('go in any order: tenants before their integrations', async () => {
      await mustHelm(['uninstall', 'tenants', ...wait]);
      await run(
        'wait',
        '--for=jsonpath={.status.conditions[?(@.type=="Accepted")].reason}=NoTenant',
        'integrations.kanava.dev/orders',
        ...inAcme,
        '--timeout=60s',
      );
      await mustHelm(['uninstall', 'shop', ...inAcme, ...wait]);
      await mustHelm(['uninstall', 'kanava', ...wait]);
      expect(await run('get', 'deployments,statefulsets', '-n', systemNamespace, '-o', 'name')).toBe('');
      const crds = await run('get', 'crd', '-o', 'name');
      for (const plural of ['tenants', 'connections', 'integrations'])
        expect(crds).toContain(`customresourcedefinition.apiextensions.k8s.io/${plural}.kanava.dev`);
    }, 400_000);

    it('come back on what stayed: CRDs, keys, volume and namespace', async () => {
      await installChart(platform, images);
      await installTenants();
      await installShop();
      await mustHelm(['uninstall', 'shop', ...inAcme, ...wait]);
      await mustHelm(['uninstall', 'tenants', ...wait]);
      await mustHelm(['uninstall', 'kanava', ...wait]);
      expect(await run('get', 'tenants.kanava.dev', '-o', 'name')).toBe('');
    }, 400_000);
  });
