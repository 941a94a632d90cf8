import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bus, connection, integration, tenant } from '../../build.ts';
import { type OperatorWorld, startOperatorWorld, until } from './operator-world.ts';
import { type StandIns, startStandIns } from './stand-ins.ts';

/* An Integration whose source has to be fetched from has one pod for it, with the volume and with credentials of its own. Tests build on each other. */
const integrations = 'integrations.kanava.dev';
const fetching = { name: 'drop', file: { connectionRef: { name: 'exchange' }, folder: 'in' } };
let world: OperatorWorld;
let standIns: StandIns;

const intake = () => world.get('deployment', 'intake-orders', 'acme');
const specOf = async (name: string) =>
  ((await world.get('deployment', name, 'acme')) as { spec?: Readonly<Record<string, unknown>> } | undefined)?.spec;

beforeAll(async () => {
  world = await startOperatorWorld();
  await world.keepOperator();
  await world.apply(tenant());
  await world.becomes('tenants.kanava.dev', 'acme', { Ready: 'True' });
  // The pods are the test's.
  standIns = await startStandIns(world, 'acme', { pods: false });
  await world.apply(
    connection({ file: { claim: 'exchange', folder: 'acme' } }, { name: 'exchange' }),
    integration({ sources: [fetching], sinks: [] }),
  );
}, 300_000);
afterAll(async () => {
  await standIns?.stop();
  await world?.stop();
}, 120_000);

describe('an Integration that fetches', { timeout: 300_000 }, () => {
  it('is not ready before the pod is that fetches, and says so', async () => {
    await world.becomes(integrations, 'orders', { Ready: 'IntakeNotReady', Available: 'IntakeNotReady' }, 'acme');
    expect((await world.condition(integrations, 'orders', 'Ready', 'acme'))?.message).toContain(
      'nothing new is accepted',
    );
  });

  it('has one such pod, never two, with the volume of its Connection', async () => {
    expect(await specOf('intake-orders')).toMatchObject({
      replicas: 1,
      strategy: { type: 'Recreate' },
      selector: {
        matchLabels: { 'kanava.dev/integration': 'orders', 'app.kubernetes.io/component': 'intake' },
      },
      template: {
        spec: {
          volumes: [{ name: 'kanava' }, { name: 'volume-0', persistentVolumeClaim: { claimName: 'exchange' } }],
          containers: [{ args: ['intake'], volumeMounts: [{}, { name: 'volume-0', mountPath: '/volumes/exchange' }] }],
        },
      },
    });
    expect(await world.get('secret', 'nats-intake-orders', 'acme')).toBeDefined();
    expect(JSON.stringify(await specOf('worker-orders'))).not.toContain('persistentVolumeClaim');
  });

  it('is idle when it is ready: the worker sleeps, the pod that fetches does not', async () => {
    await world.rollOut('intake-orders', 'acme');
    await world.becomes(integrations, 'orders', { Ready: 'Idle', Available: 'Idle', Active: 'False' }, 'acme');
    expect(await specOf('worker-orders')).toMatchObject({ replicas: 0 });
  });

  it('takes nothing while it is suspended', async () => {
    await world.apply(integration({ sources: [fetching], sinks: [], suspend: true }));
    await world.becomes(integrations, 'orders', { Ready: 'Suspended' }, 'acme');
    await until('no pod that fetches', async () => (await specOf('intake-orders'))?.['replicas'] === 0);
    await world.apply(integration({ sources: [fetching], sinks: [], suspend: false }));
    await until('the pod is wanted again', async () => (await specOf('intake-orders'))?.['replicas'] === 1);
  });

  it('has no such pod when nothing is to be fetched any more', async () => {
    await world.apply(integration({ sources: [bus(['order.placed'])], sinks: [] }));
    await until('the pod is gone', async () => (await intake()) === undefined);
    expect(await world.get('secret', 'nats-intake-orders', 'acme')).toBeUndefined();
    expect(await world.get('serviceaccount', 'intake-orders', 'acme')).toBeUndefined();
    await world.becomes(integrations, 'orders', { Ready: 'Idle' }, 'acme');
  });
});
