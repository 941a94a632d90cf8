import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeUser } from '../../../operator/broker/credentials.ts';
import { createPausedSign, type PausedSign } from '../../../runtime/engine/paused-sign.ts';
import { connectTransport, type JetStreamTransport } from '../../../runtime/transport/jetstream.ts';
import { connection, integration, tenant } from '../../build.ts';
import { silent } from '../../runtime/engine/workshop.ts';
import { natsFolder } from './nats-folder.ts';
import { type OperatorWorld, startOperatorWorld } from './operator-world.ts';
import { accountOf, type StandIns, startStandIns } from './stand-ins.ts';

/*
 * A worker that is paused answers its readiness probe with 503 and says why in the state bucket; the kubelet is played by the test, the word
 * is written by the runtime's own code with a worker's credentials. Tests build on each other.
 */
const integrations = 'integrations.kanava.dev';
const manual = { mode: 'Manual', replicas: 1 } as const;
let world: OperatorWorld;
let standIns: StandIns;
let transport: JetStreamTransport;
let sign: PausedSign;

const pods = (readyReplicas: number) => {
  const status = JSON.stringify({ status: { readyReplicas } });
  const patch = ['--subresource=status', '--type=merge', '-p', status];
  return world.kubectl(['patch', 'deployment', 'worker-orders', '-n', 'acme', ...patch]);
};
const condition = (type: string) => world.condition(integrations, 'orders', type, 'acme');

beforeAll(async () => {
  world = await startOperatorWorld();
  await world.keepOperator();
  await world.apply(tenant());
  await world.becomes('tenants.kanava.dev', 'acme', { Ready: 'True' });
  await world.apply(connection(), integration({ scaling: manual }));
  // The pods are the test's.
  standIns = await startStandIns(world, 'acme', { pods: false });
  await world.becomes(integrations, 'orders', { MessagingReady: 'True' }, 'acme');
  await world.rollOut('worker-orders', 'acme');
  await world.becomes(integrations, 'orders', { Ready: 'Running' }, 'acme');
  const keys = await accountOf(world, 'acme');
  const folder = await natsFolder(world.nats.url, makeUser(keys, 'worker', 'orders', 3_600_000).creds);
  transport = await connectTransport({ folder, role: 'worker', integration: 'orders', name: 'test', log: silent });
  sign = createPausedSign(transport.state, 'orders', silent);
}, 300_000);
afterAll(async () => {
  await transport?.close();
  await standIns?.stop();
  await world?.stop();
}, 120_000);

describe('workers that wrong credentials stop', { timeout: 300_000 }, () => {
  it('the control: without a word of theirs they are just not ready', async () => {
    await pods(0);
    await world.becomes(integrations, 'orders', { Ready: 'WorkersNotReady', Available: 'NoWorkers' }, 'acme');
    expect((await condition('Stalled'))?.status).toBe('False');
  });

  it('make the Integration stalled, with what failed and what to do', async () => {
    sign.show({ part: 'erp', code: 'HttpStatus401' });
    await world.becomes(integrations, 'orders', { Stalled: 'Paused', Available: 'Paused', Ready: 'Stalled' }, 'acme');
    const stalled = await condition('Stalled');
    expect(stalled?.message).toContain('"erp" fails every message with HttpStatus401');
    expect(stalled?.message).toContain('Repair the Secret, the Connection or the spec');
    expect((await condition('Ready'))?.message).toBe(stalled?.message);
  });

  it('go on when the cause is repaired', async () => {
    await sign.close();
    await pods(1);
    await world.becomes(integrations, 'orders', { Ready: 'Running', Stalled: 'False', Available: 'Serving' }, 'acme');
  });

  it('say nothing about a spec that came after them', async () => {
    sign.show({ part: 'erp', code: 'HttpStatus401' });
    await pods(0);
    await world.becomes(integrations, 'orders', { Stalled: 'Paused' }, 'acme');
    await world.apply(integration({ scaling: manual, delivery: { timeout: '17s' } }));
    await world.becomes(integrations, 'orders', { Stalled: 'Progressing', Ready: 'Starting' }, 'acme');
    await world.rollOut('worker-orders', 'acme');
    await world.becomes(integrations, 'orders', { Ready: 'Running' }, 'acme');
  });
});
