import { expect, it } from 'vitest';
import { createSilence, quietMs } from '../../../runtime/transport/silence.ts';

const waiting = { deliveredTo: 0, pending: 3, ackPending: 0, maxAckPending: 100 };

/** Ticks like a pull does, twice a second, for as long as the scene says. */
const watch = async (ms: number, scene: { fill?: () => Promise<typeof waiting>; messageEveryMs?: number }) => {
  let now = 0;
  const found: number[] = [];
  const silence = createSilence({
    fill: scene.fill ?? (async () => waiting),
    silent: () => found.push(now),
    now: () => now,
  });
  for (; now <= ms; now += 500) {
    if (scene.messageEveryMs !== undefined && now % scene.messageEveryMs === 0) silence.message();
    silence.tick();
    await new Promise(setImmediate);
  }
  return { found, silence };
};

it('is found within fifteen seconds, and then ever more seldom', async () => {
  const { found, silence } = await watch(600_000, {});
  expect(found[0]).toBeLessThanOrEqual(15_000);
  const pauses = found.slice(1).map((at, index) => at - (found[index] ?? 0));
  expect(pauses.slice(0, 2)).toEqual([22_500, 42_500]);
  expect(Math.max(...pauses)).toBeLessThanOrEqual(70_000);
  expect(silence.isFound()).toBe(true);
  silence.message();
  expect(silence.isFound(), 'a message ends it').toBe(false);
});

it.each([
  ['nothing waits', async () => ({ ...waiting, pending: 0 })],
  ['as many are unacknowledged as may be', async () => ({ ...waiting, ackPending: 100 })],
  ['the consumer does not answer, which is found elsewhere', () => Promise.reject(new Error('away'))],
])('is none while %s', async (_, fill) => {
  expect((await watch(120_000, { fill })).found).toEqual([]);
});

it('is none while messages come, however slowly', async () => {
  expect((await watch(120_000, { messageEveryMs: quietMs - 1_000 })).found).toEqual([]);
});

it('is over when others have taken what waited', async () => {
  let left = 3;
  const { found, silence } = await watch(120_000, {
    fill: async () => ({ ...waiting, pending: left-- > 0 ? 1 : 0 }),
  });
  expect(found).toHaveLength(1);
  expect(silence.isFound()).toBe(false);
});
