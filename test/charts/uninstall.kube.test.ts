import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { integration } from '../build.ts';
import { type CommandResult } from '../cluster/command.ts';
import { type KubeApi, startKubeApi } from '../cluster/kube-api.ts';
import { mustKubectl } from '../cluster/kubectl.ts';
import { operatorNamespace as namespace } from './chart.ts';
import { type JobRunner, startJobRunner } from './job-runner.ts';
import { helmWith } from './values-charts.ts';

/*
 * The life of a release of charts/kanava on a real API server, by Helm: its uninstall is refused while Integrations exist, and the command
 * that the refusal prints repairs the release. The hooks' programs run for real, as the ServiceAccounts of their Jobs.
 * One story: each test goes on where the one before it ended.
 */
const kanava = join(import.meta.dirname, '../../charts/kanava');
vi.setConfig({ testTimeout: 300_000 });
let api: KubeApi;
let jobs: JobRunner;
beforeAll(async () => {
  api = await startKubeApi();
  await mustKubectl(api.kubectl, ['create', 'namespace', namespace]);
  await mustKubectl(api.kubectl, ['create', 'namespace', 'acme']);
  jobs = startJobRunner(api, namespace);
});
afterAll(async () => {
  await jobs.stop();
  await api.stop();
});

const there = () => ['--namespace', namespace, '--kubeconfig', api.kubeconfig];
const helm = (...args: string[]): Promise<CommandResult> =>
  helmWith(
    [],
    [...args, ...there(), ...(['status', 'history'].includes(args[0] as string) ? [] : ['--timeout', '4m'])],
  );
const must = async (...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await helm(...args);
  expect(code, stderr).toBe(0);
  return stdout;
};
const statusOf = async (): Promise<string> => {
  const { info } = JSON.parse(await must('status', 'kanava', '-o', 'json')) as { info: { status: string } };
  return info.status;
};
const objectsLeft = (...kinds: string[]): Promise<string> =>
  mustKubectl(api.kubectl, ['get', kinds.join(','), '-n', namespace, '-o', 'name']);
const keys = (): Promise<string> =>
  mustKubectl(api.kubectl, ['get', 'secret/kanava-nats-keys', '-n', namespace, '-o', 'jsonpath={.data}']);
const createIntegrations = (...names: string[]): Promise<string> =>
  mustKubectl(api.kubectl, ['create', '-f', '-'], {
    stdin: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: names.map((name) => integration({}, { name })) }),
  });
const deleteIntegrations = (): Promise<string> =>
  mustKubectl(api.kubectl, ['delete', 'integrations.kanava.dev', '--all', '-n', 'acme']);

/** Uninstalls, is refused, and gives the command that the refusal prints. */
const refused = async (): Promise<string[]> => {
  const { code } = await helm('uninstall', 'kanava');
  expect(code).not.toBe(0);
  expect(await statusOf()).toBe('uninstalling');
  const { job, stderr } = jobs.ran.at(-1) as (typeof jobs.ran)[number];
  expect(job).toBe('kanava-uninstall-guard');
  const command = /: helm (rollback kanava [0-9]+) --namespace kanava-system /.exec(stderr)?.[1];
  return (command as string).split(' ');
};

describe('uninstall', () => {
  beforeAll(async () => {
    await must('install', 'kanava', kanava);
    await vi.waitFor(() => createIntegrations('orders'), { timeout: 90_000, interval: 200 });
  });

  it('is refused while Integrations exist, and removes nothing', async () => {
    await refused();
    expect(jobs.ran.at(-1)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('1 Integration exists: acme/orders.'),
    });
    expect(await objectsLeft('deployments', 'statefulsets', 'configmaps')).toContain('deployment.apps/kanava-operator');
  });

  it('leaves a release that takes no upgrade, until the printed command repairs it', async () => {
    expect((await helm('upgrade', 'kanava', kanava)).code).not.toBe(0);
    await must(...(await refused()));
    expect(await statusOf()).toBe('deployed');
    await must('upgrade', 'kanava', kanava);
  });

  it('goes on in any order of upgrade, rollback, and refusal with its repair', { timeout: 900_000 }, async () => {
    const upgrade = () => must('upgrade', 'kanava', kanava);
    const rollback = () => must('rollback', 'kanava');
    const refusal = async () => must(...(await refused()));
    // Each after each.
    for (const act of [upgrade, upgrade, rollback, rollback, refusal, refusal, upgrade, refusal, rollback, upgrade]) {
      await act();
      expect(await statusOf()).toBe('deployed');
      expect(await objectsLeft('deployments')).toContain('kanava-operator');
    }
    expect(
      await mustKubectl(api.kubectl, ['get', 'integrations.kanava.dev/orders', '-n', 'acme', '-o', 'name']),
    ).not.toBe('');
  });

  it('can be repaired by the last revision of helm history too', async () => {
    await refused();
    const history = JSON.parse(await must('history', 'kanava', '-o', 'json')) as { revision: number }[];
    await must('rollback', 'kanava', String(history.at(-1)?.revision));
    expect(await statusOf()).toBe('deployed');
  });

  it('names some of many, and counts them', async () => {
    await createIntegrations(...Array.from({ length: 14 }, (_, index) => `more-${index}`));
    const repair = await refused();
    expect(jobs.ran.at(-1)?.stderr).toContain('15 Integrations exist: acme/more-0, ');
    expect(jobs.ran.at(-1)?.stderr).toContain(' and 5 more.');
    await must(...repair);
  });

  it('goes through without Integrations; CRDs and keys stay, and another installation goes on with them', async () => {
    const before = await keys();
    await deleteIntegrations();
    await must('uninstall', 'kanava');
    expect((await helm('status', 'kanava')).stderr).toContain('not found');
    expect(await objectsLeft('deployments', 'statefulsets', 'jobs')).toBe('');
    expect(await mustKubectl(api.kubectl, ['get', 'integrations.kanava.dev', '-A', '-o', 'name'])).toBe('');
    await must('install', 'kanava', kanava);
    expect(await keys()).toBe(before);
  });

  it('control: without the hook nothing refuses', async () => {
    await createIntegrations('orders');
    await must('uninstall', 'kanava', '--no-hooks');
    expect(await objectsLeft('deployments')).toBe('');
    await deleteIntegrations();
  });

  it('goes through when the CRDs are gone: then no Integration exists', async () => {
    await must('install', 'kanava', kanava);
    await mustKubectl(api.kubectl, ['delete', 'crd', 'integrations.kanava.dev']);
    await must('uninstall', 'kanava');
    expect(jobs.ran.at(-1)).toMatchObject({ code: 0, job: 'kanava-uninstall-guard' });
  });
});

describe('schema revision', () => {
  const revision = (): Promise<string> =>
    mustKubectl(api.kubectl, [
      'get',
      'crd/tenants.kanava.dev',
      '-o',
      'jsonpath={.metadata.annotations.kanava\\.dev/schema-revision}',
    ]);

  it('is not lowered by helm rollback, and the release goes on', async () => {
    const newer = await mkdtemp(join(tmpdir(), 'kanava-chart-'));
    try {
      await cp(kanava, newer, { recursive: true });
      for (const plural of ['tenants', 'connections', 'integrations']) {
        const file = join(newer, `templates/crds/${plural}.kanava.dev.yaml`);
        const text = await readFile(file, 'utf8');
        expect(text).toMatch(/schema-revision: '[0-9]+'/);
        await writeFile(file, text.replace(/schema-revision: '[0-9]+'/, "schema-revision: '777'"));
      }
      await must('install', 'kanava', kanava);
      await must('upgrade', 'kanava', newer);
      expect(await revision()).toBe('777');
      const { code, stderr } = await helm('rollback', 'kanava', '1');
      expect(code).not.toBe(0);
      expect(stderr).toContain("ValidatingAdmissionPolicy 'kanava-schema-revision'");
      expect(await revision()).toBe('777');
      await must('upgrade', 'kanava', newer);
      expect(await statusOf()).toBe('deployed');
    } finally {
      await rm(newer, { recursive: true });
    }
  });
});
