import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startWorld, type World } from './world.ts';
import { inboxSpec } from './specs.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.stop());

describe('streams and consumers', () => {
  test('are made, and made again with the same call changes nothing', async () => {
    const acme = await world.tenant('acme');
    const first = await acme.broker.ensureStream(inboxSpec('orders'));
    expect(first).toMatchObject({ name: 'inbox_orders', messages: 0, consumers: [{ name: 'worker-0', pending: 0 }] });
    expect(await acme.broker.ensureStream(inboxSpec('orders'))).toEqual(first);
  });
});
