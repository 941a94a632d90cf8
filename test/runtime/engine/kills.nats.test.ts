import { expect, it } from 'vitest';
import { killPoints } from '../../faults/kill-plan.ts';
import { runKills } from '../../faults/kill-run.ts';

/*
 * The short form of `npm run faults -- engine`: the real AckWait, so that what dead workers held comes back while others die. Most of its
 * time is waiting; it runs beside other files.
 */
const short = { kills: 24, messages: 2_400, ackWaitMs: 1_500, concurrency: 64, workers: 1, seed: 5 };

it.concurrent('60 kills at every point of a message lose nothing, change nothing and condemn no innocent', {
  timeout: 600_000,
}, async () => {
  const { killed, ...counts } = await runKills({
    kills: 60,
    messages: 6_000,
    ackWaitMs: 30_000,
    concurrency: 64,
    workers: 2,
    atLeastMs: 100_000,
    seed: 5,
  });
  expect(counts).toMatchObject({ lost: 0, changed: 0, innocents: 0, deadLettersMissing: 0, duplicatesWithId: 0 });
  for (const point of killPoints) expect(killed[point], point).toBeGreaterThan(5);
  expect(counts.seconds).toBeGreaterThan(100);
  expect(counts.sent).toBeGreaterThanOrEqual(6_000);
  expect(counts.redelivered).toBeGreaterThan(0);
  expect(counts.duplicates).toBeLessThanOrEqual(counts.inFlightAtKills);
  expect(counts.duplicates, 'the kills hit messages in work').toBeGreaterThan(0);
});

it.concurrent('control: with the ack before the sinks, messages are lost', { timeout: 300_000 }, async () => {
  expect((await runKills({ ...short, fault: 'ack-before-sink' })).lost).toBeGreaterThan(0);
});

it.concurrent('control: by the delivery count alone, innocents become dead letters', { timeout: 300_000 }, async () => {
  expect((await runKills({ ...short, fault: 'max-deliver' })).innocents).toBeGreaterThan(0);
});
