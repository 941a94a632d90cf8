import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { isTrue, statusConditions } from '../../operator/plan/conditions.ts';
import type { CommandResult } from '../cluster/command.ts';
import { type OperatorWorld, startOperatorWorld } from '../operator/reconcile/operator-world.ts';
import { type StandIns, startStandIns } from '../operator/reconcile/stand-ins.ts';
import { chartFolder, helmWith, type ValuesChart } from './values-charts.ts';

/*
 * `helm --wait` with the operator as a process: it ends when what was asked for is so, and fails at once, with the reason, when a user must
 * act. One story: each test goes on where the one before it ended.
 */
vi.setConfig({ testTimeout: 300_000 });
let world: OperatorWorld;
let pods: StandIns | undefined;
beforeAll(async () => {
  world = await startOperatorWorld();
});
afterAll(async () => {
  await pods?.stop();
  await world?.stop();
});

const helm = (values: unknown, ...args: string[]): Promise<CommandResult> =>
  helmWith(values === undefined ? [] : [values], [
    ...args,
    '--namespace',
    'acme',
    '--kubeconfig',
    world.api.kubeconfig,
  ]);
/** Whoever waited for such a time-out would not be in time for the test's own. */
const long = ['--wait', '--timeout', '30m'];
const chart = (name: ValuesChart = 'kanava-integrations') => chartFolder(name);
const orders = (when: string) => ({
  connections: { erp: { http: { url: 'https://erp.example.com' } } },
  integrations: {
    orders: {
      sources: { shop: { http: { path: '/orders' } } },
      steps: [{ name: 'worth-it', filter: { when } }],
      sinks: { erp: { http: { connectionRef: { name: 'erp' } } } },
      scaling: { minReplicas: 1 },
    },
  },
});
const good = orders('body.total > 10.0');
const readyOf = async (name: string) =>
  isTrue(statusConditions((await world.get('integrations.kanava.dev', name, 'acme'))?.['status']), 'Ready');
const mustHelm = async (...args: Parameters<typeof helm>): Promise<string> => {
  const { code, stdout, stderr } = await helm(...args);
  expect(code, stderr).toBe(0);
  return stdout;
};

describe('helm install --wait', () => {
  it('waits as long as nobody has looked at the object', async () => {
    const tenants = { tenants: { acme: { namespace: { name: 'acme' } } } };
    const { code, stderr } = await helm(
      tenants,
      'install',
      'tenants',
      chart('kanava-tenant'),
      '--wait',
      '--timeout',
      '3s',
      '--create-namespace',
    );
    expect(code).not.toBe(0);
    expect(stderr).toContain('Tenant//acme not ready. status: InProgress');
    await mustHelm(undefined, 'uninstall', 'tenants');
    await world.kubectl(['annotate', 'namespace', 'acme', 'kanava.dev/adopt=acme']);
  });

  it('ends when the Tenant is ready', async () => {
    await world.startOperator();
    const tenants = { tenants: { acme: { namespace: { name: 'acme', adopt: true } } } };
    await mustHelm(tenants, 'install', 'tenants', chart('kanava-tenant'), ...long);
    const tenant = await world.get('tenants.kanava.dev', 'acme');
    expect(isTrue(statusConditions(tenant?.['status']), 'Ready')).toBe(true);
  });

  it('ends when the Integration is ready, and not before', async () => {
    let ended = false;
    const installed = helm(good, 'install', 'shop', chart(), ...long).finally(() => (ended = true));
    await world.becomes('integrations.kanava.dev', 'orders', { Ready: 'GatewayNotReady' }, 'acme');
    expect(ended).toBe(false);
    pods = await startStandIns(world, 'acme');
    expect(await installed).toMatchObject({ code: 0 });
    expect(await readyOf('orders')).toBe(true);
  });

  it.each([
    ['an expression', 'bad', orders('body.total >').integrations.orders, 'spec.steps[0].filter.when'],
    [
      'a Secret that is not there',
      'secret',
      {
        sources: {
          in: { http: { path: '/in', auth: { bearer: { secretKeyRef: { name: 'nowhere', key: 'token' } } } } },
        },
      },
      'Secret nowhere',
    ],
    [
      'a Connection that is not there',
      'target',
      { ...good.integrations.orders, sinks: { erp: { http: { connectionRef: { name: 'nobody' } } } } },
      'nobody',
    ],
  ])('fails at once for %s, and says what to do', async (_, name, broken, told) => {
    const { code, stderr } = await helm({ integrations: { [name]: broken } }, 'install', name, chart(), ...long);
    expect(code).toBe(1);
    expect(stderr).toContain(`resource Integration/acme/${name} not ready. status: Failed, message: `);
    expect(stderr).toContain(told);
    await mustHelm(undefined, 'uninstall', name, ...long);
    expect(await world.get('integrations.kanava.dev', name, 'acme')).toBeUndefined();
  });
});

describe('helm upgrade --wait', () => {
  it('fails at once for a bad edit, and helm rollback --wait repairs it', async () => {
    const { code, stderr } = await helm(orders('nonsense ('), 'upgrade', 'shop', chart(), ...long);
    expect(code).toBe(1);
    expect(stderr).toContain('Integration/acme/orders not ready. status: Failed, message: spec.steps[0].filter.when');
    expect(await readyOf('orders')).toBe(false);
    await mustHelm(undefined, 'rollback', 'shop', '1', ...long);
    expect(await readyOf('orders')).toBe(true);
  });

  it('takes the edit back by itself with --rollback-on-failure', async () => {
    const { code, stderr } = await helm(
      orders('nonsense ('),
      'upgrade',
      'shop',
      chart(),
      '--rollback-on-failure',
      ...long,
    );
    expect(code).toBe(1);
    expect(stderr).toContain('spec.steps[0].filter.when');
    await world.becomes('integrations.kanava.dev', 'orders', { Ready: 'Running', Stalled: 'False' }, 'acme');
  });

  it('ends when the new spec is in place', async () => {
    await mustHelm(orders('body.total > 20.0'), 'upgrade', 'shop', chart(), ...long);
    expect(await readyOf('orders')).toBe(true);
    const stored = await world.get('integrations.kanava.dev', 'orders', 'acme');
    expect(stored?.['status']).toHaveProperty('observedGeneration', stored?.metadata.generation);
  });
});

it('helm uninstall --wait ends when nothing is left', async () => {
  await mustHelm(undefined, 'uninstall', 'shop', ...long);
  expect(await world.get('integrations.kanava.dev', 'orders', 'acme')).toBeUndefined();
  expect(await world.get('connections.kanava.dev', 'erp', 'acme')).toBeUndefined();
});
