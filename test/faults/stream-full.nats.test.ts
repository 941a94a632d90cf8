import { expect, it } from 'vitest';
import { runFull } from './stream-full.faults.ts';

/* The short form of `npm run faults -- stream-full`. */
const short = { seconds: 6, rate: 500, say: () => undefined };

it('a full inbox refuses and a full dead letter stream keeps: nothing is lost', { timeout: 600_000 }, async () => {
  const { refusedAtFirst, keptWhileDeadLettersFull, ...counts } = await runFull({ ...short, discard: 'new' });
  expect(refusedAtFirst, 'the inbox was full').toBeGreaterThan(0);
  expect(keptWhileDeadLettersFull, 'there was no place for dead letters').toBeGreaterThan(0);
  expect(counts).toEqual({ sent: 3_000, accepted: 3_000, deadLetters: 60, lost: 0 });
});

it('control: an inbox that drops what is old loses messages', { timeout: 600_000 }, async () => {
  expect((await runFull({ ...short, discard: 'old' })).lost).toBeGreaterThan(0);
});
