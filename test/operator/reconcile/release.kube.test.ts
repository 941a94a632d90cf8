import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Integrations, Tenants } from '../../../operator/api/meta.ts';
import { Namespaces } from '../../../operator/plan/kinds.ts';
import type { Context } from '../../../operator/reconcile/context.ts';
import { reconcileIntegration } from '../../../operator/reconcile/integration.ts';
import { accountKeysOf } from '../../../operator/reconcile/tenancy.ts';
import { reconcileTenant } from '../../../operator/reconcile/tenant.ts';
import { mustKubectl } from '../../cluster/kubectl.ts';
import { type InProcess, startInProcess } from './in-process.ts';
import { until } from './operator-world.ts';

/* Deleting while NATS is away: it waits, says for what and until when, and then lets go. The clock is the test's. */
let world: InProcess;
beforeAll(async () => {
  world = await startInProcess();
});
afterAll(async () => {
  await world?.stop();
});

const minutes = (count: number): Partial<Context> => ({ now: () => Date.now() + count * 60_000 });
const integration = (name: string) => world.kube.cluster.get(Integrations, 'orders', name);
const deleted = async (kind: string, name: string, namespace?: string) => {
  await world.api.kubectl(['delete', kind, name, '--wait=false', ...(namespace ? ['-n', namespace] : [])]);
  const read = namespace ? () => integration(namespace) : () => world.kube.cluster.get(Tenants, name);
  await until('the deletion in the cache', async () => (await read())?.metadata.deletionTimestamp);
};
/** As a tenant's namespace wants its pods. */
const restricted = JSON.stringify({
  spec: {
    serviceAccountName: 'worker-orders',
    securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        name: 'busy',
        image: 'none',
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      },
    ],
  },
});
const settle = (name: string) =>
  // What one writes comes back by a watch: how many rounds that takes is the machine's affair.
  until('both hold on to what is in NATS', async () => {
    await reconcileTenant(world.contextOf())(name);
    await reconcileIntegration(world.contextOf())(`${name}/orders`);
    const held = [await world.kube.cluster.get(Tenants, name), await integration(name)];
    return held.every((object) => object?.metadata.finalizers?.includes('kanava.dev/messaging'));
  });

describe('deleting while NATS is away', () => {
  it('waits for it, with the reason, and not for ever', async () => {
    await world.create('late', 'Delete');
    await settle('late');
    expect((await integration('late'))?.metadata.finalizers).toEqual(['kanava.dev/messaging']);
    await world.nats.kill();
    await deleted('integrations.kanava.dev', 'orders', 'late');

    expect(await reconcileIntegration(world.contextOf())('late/orders')).toMatchObject({
      requeueAfterMs: expect.any(Number) as number,
    });
    const waiting = await integration('late');
    expect(JSON.stringify(waiting?.['status'])).toContain('then left behind');
    expect(waiting?.metadata.finalizers).toEqual(['kanava.dev/messaging']);

    await reconcileIntegration(world.contextOf(minutes(11)))('late/orders');
    await until('it is gone', async () => !(await integration('late')));
  });

  it('keeps the keys of an account that could not be deleted', async () => {
    await deleted('tenants.kanava.dev', 'late');
    await reconcileTenant(world.contextOf())('late');
    expect(JSON.stringify((await world.kube.cluster.get(Tenants, 'late'))?.['status'])).toContain('then left behind');
    await reconcileTenant(world.contextOf(minutes(11)))('late');
    await until('it is gone', async () => !(await world.kube.cluster.get(Tenants, 'late')));
    const keys = await world.api.kubectl(['get', 'secret', 'tenant-keys-late', '-n', 'kanava-system']);
    expect(keys.code).toBe(0);
    await world.nats.start();
  });

  it('waits for it in a namespace that goes, too, and leaves the namespace after the same time', async () => {
    await world.create('leaving', 'Delete');
    await settle('leaving');
    await world.nats.kill();
    await world.api.kubectl(['delete', 'namespace', 'leaving', '--wait=false']);
    await deleted('integrations.kanava.dev', 'orders', 'leaving');
    await reconcileIntegration(world.contextOf())('leaving/orders');
    expect(JSON.stringify((await integration('leaving'))?.['status'])).toContain('then left behind');
    await reconcileIntegration(world.contextOf(minutes(11)))('leaving/orders');
    await until('it is gone', async () => !(await integration('leaving')));
    await world.nats.start();
  });

  it('lets go at once where the account went with its Tenant', async () => {
    await world.create('gone', 'Delete');
    await settle('gone');
    await world.api.kubectl(['delete', 'secret', 'tenant-keys-gone', '-n', 'kanava-system']);
    await until('no keys', async () => !(await accountKeysOf(world.contextOf(), 'gone')));
    await world.nats.kill();
    await deleted('integrations.kanava.dev', 'orders', 'gone');
    await reconcileIntegration(world.contextOf())('gone/orders');
    await until('it is gone', async () => !(await integration('gone')));
    await world.nats.start();
  });
});

describe('deleting a Tenant whose pods have work', () => {
  const release = async (name: string, context: Partial<Context> = {}) => {
    await world.create(name, 'Delete');
    await settle(name);
    const labels = `app.kubernetes.io/managed-by=kanava,kanava.dev/tenant=${name}`;
    const pod = ['run', 'busy', '-n', name, '--image=none', `--labels=${labels}`, '--overrides', restricted];
    await mustKubectl(world.api.kubectl, pod);
    await world.api.kubectl(['delete', 'integrations.kanava.dev', 'orders', '-n', name, '--wait=false']);
    await deleted('tenants.kanava.dev', name);
    return reconcileTenant(world.contextOf(context))(name);
  };
  const isGone = async (name: string) => !(await world.kube.cluster.get(Tenants, name));

  it('leaves them their account until they have ended', async () => {
    expect(await release('busy')).toMatchObject({ requeueAfterMs: expect.any(Number) as number });
    expect(await accountKeysOf(world.contextOf(), 'busy')).toBeDefined();
    expect((await world.kube.cluster.get(Namespaces, 'busy'))?.metadata.deletionTimestamp).toBeUndefined();
    await mustKubectl(world.api.kubectl, ['delete', 'pod', 'busy', '-n', 'busy', '--force']);
    await until('it is gone', async () => {
      await reconcileTenant(world.contextOf())('busy');
      return isGone('busy');
    });
    expect(await accountKeysOf(world.contextOf(), 'busy')).toBeUndefined();
  });

  it('waits no longer than for a pod that is killed', async () => {
    await release('stuck', minutes(1.1));
    await until('it is gone', () => isGone('stuck'));
  });
});
