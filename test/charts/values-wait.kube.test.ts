import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CommandResult } from '../cluster/command.ts';
import { type KubeApi, startKubeApi } from '../cluster/kube-api.ts';
import { mustKubectl } from '../cluster/kubectl.ts';
import { applyCrds } from '../operator/api/established.ts';
import { chartFolder, helmWith } from './values-charts.ts';

/*
 * `helm install --wait` reads conditions as kstatus does. Here the test writes the statuses that the operator writes, and Helm must wait
 * for it, go on, or give up at once.
 */
let api: KubeApi;
beforeAll(async () => {
  api = await startKubeApi();
  await applyCrds(api);
  await mustKubectl(api.kubectl, ['create', 'namespace', 'acme']);
});
afterAll(() => api.stop());
beforeEach(async () => {
  await helmWith([], ['uninstall', 'shop', '--ignore-not-found', ...there()]);
});

const there = () => ['--namespace', 'acme', '--kubeconfig', api.kubeconfig];
const values = { integrations: { orders: { sources: { shop: { http: { path: '/orders' } } } } } };
const install = (timeout: string): Promise<CommandResult> =>
  helmWith(
    [values],
    ['install', 'shop', chartFolder('kanava-integrations'), '--wait', '--timeout', timeout, ...there()],
  );

type State = 'True' | 'False' | 'Unknown';
const report = async (generation: number, conditions: Readonly<Record<string, State>>): Promise<void> => {
  const list = Object.entries(conditions).map(([type, status]) => ({
    type,
    status,
    reason: 'Test',
    message: 'written by a test',
    lastTransitionTime: '2026-01-01T00:00:00Z',
    observedGeneration: generation,
  }));
  const patch = JSON.stringify({ status: { observedGeneration: generation, conditions: list } });
  await vi.waitFor(
    () =>
      mustKubectl(api.kubectl, [
        'patch',
        'integrations.kanava.dev/orders',
        '-n',
        'acme',
        '--subresource=status',
        '--type=merge',
        '-p',
        patch,
      ]),
    { timeout: 20_000, interval: 100 },
  );
};

describe('helm install --wait', () => {
  it('waits while nobody has looked at the object', async () => {
    expect((await install('3s')).code).not.toBe(0);
  });

  it('waits while it starts', async () => {
    const installed = install('3s');
    await report(1, { Ready: 'Unknown', Reconciling: 'True' });
    expect((await installed).code).not.toBe(0);
  });

  it('goes on when it is ready', async () => {
    const installed = install('50s');
    await report(1, { Ready: 'Unknown', Reconciling: 'True' });
    await report(1, { Ready: 'True', Reconciling: 'False', Stalled: 'False' });
    expect(await installed).toMatchObject({ code: 0 });
  });

  // A longer time-out than the test's own: one that waits for it would fail here.
  it('gives up at once when a user must act', async () => {
    const installed = install('10m');
    await report(1, { Ready: 'False', Accepted: 'False', Stalled: 'True' });
    const { code, stderr } = await installed;
    expect(stderr).toContain('Integration/acme/orders');
    expect(code).toBe(1);
  });
});
