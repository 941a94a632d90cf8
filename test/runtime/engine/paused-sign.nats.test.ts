import { expect, it } from 'vitest';
import { createPausedSign } from '../../../runtime/engine/paused-sign.ts';
import { pausedKey } from '../../../runtime/nats/names.ts';
import { connectTransport } from '../../../runtime/transport/jetstream.ts';
import { integration, silent, startWorkshop } from './workshop.ts';

const reason = { part: 'out', code: 'HttpStatus401' };
const eventually = (check: () => unknown, why = '') =>
  expect.poll(check, { timeout: 60_000, interval: 50, message: why });

it('is said by whoever is paused, taken back by whoever goes on, and said again by those who do not', async () => {
  const workshop = await startWorkshop();
  const told = () => workshop.tenant.broker.paused(integration);
  let now = Date.now();
  const start = async () => {
    const folder = await workshop.tenant.folder('worker', integration);
    const transport = await connectTransport({ folder, role: 'worker', integration, name: 'worker', log: silent });
    return { transport, sign: createPausedSign(transport.state, integration, silent, () => now) };
  };
  const [one, other] = await Promise.all([start(), start()]);
  expect(await told()).toBeUndefined();
  one.sign.show(reason);
  await eventually(told).toEqual(reason);
  other.sign.show({ ...reason, code: 'HttpStatus403' });
  await eventually(told, 'the newest word counts').toMatchObject({ code: 'HttpStatus403' });
  other.sign.show(undefined);
  await other.sign.close();
  await eventually(told).toBeUndefined();
  one.sign.show(reason);
  expect(await told(), 'said already').toBeUndefined();
  now += 30_000;
  one.sign.show(reason);
  await eventually(told, 'said again after half a minute').toEqual(reason);
  const stored = await workshop.manager.direct.getMessage('KV_state', {
    last_by_subj: `$KV.state.${pausedKey(integration)}`,
  });
  expect(stored?.header.get('Nats-TTL'), 'goes by itself when its worker dies').toBe('100s');
  await one.sign.close();
  await eventually(told).toBeUndefined();
  await Promise.all([one.transport.close(), other.transport.close()]);
}, 120_000);
