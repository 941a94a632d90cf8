import { RequestOne } from '@nats-io/nats-core/internal';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import '../../../operator/broker/connection.ts';
import { startWorld, type World, type WorldTenant } from './world.ts';

let world: World;
let tenant: WorldTenant;
beforeAll(async () => {
  world = await startWorld({});
  tenant = await world.tenant('a');
});
afterAll(() => world.stop());
afterEach(() => void vi.restoreAllMocks());

test('a request that is answered makes no error, and one that is not has its own', async () => {
  const connection = await tenant.admin();
  connection.subscribe('echo', { callback: (_, message) => void message.respond(message.data) });
  connection.subscribe('silent', { callback: () => {} });
  await connection.flush();
  const givenUp = vi.spyOn(RequestOne.prototype, 'cancel');
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, index) => connection.request('echo', `${index}`, { timeout: 5_000 })),
  );
  expect(answers.map((answer) => answer.string())).toEqual(Array.from({ length: 100 }, (_, index) => `${index}`));
  expect(givenUp).not.toHaveBeenCalled();
  await expect(connection.request('nobody', '', { timeout: 5_000 })).rejects.toThrow(/no responders/);
  await expect(connection.request('silent', '', { timeout: 50 })).rejects.toThrow(/timeout/);
  // The control: who gets no answer is given up.
  expect(givenUp).toHaveBeenCalled();
  const last = connection.request('silent', '', { timeout: 5_000 });
  await connection.close();
  await expect(last).rejects.toThrow(/closed/);
});
