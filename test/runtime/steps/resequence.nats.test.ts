import { expect, it } from 'vitest';
import { resequenceStep } from '../../../runtime/steps/resequence.ts';
import {
  type GatheringCase,
  gatheringStepConformance,
  killedWhileGathering,
  leftOf,
  nothingLost,
} from '../../conformance/gathering-step.ts';
import { disorder, inTime, positionOf, startOrdered } from '../engine/ordered.ts';

/** Sequences of two or three, the last number first. None may be given up: a machine may stand still for long. */
const sequences: GatheringCase = {
  definition: resequenceStep,
  config: { key: 'body.key', number: 'body.place', first: 0, timeout: '1h' },
  bad: [
    ['no time-out', { key: 'body.key', number: 'body.place' }],
    ['what is no expression', { key: 'body.key', number: 'body.place +', timeout: '1h' }],
    ['no time', { key: 'body.key', number: 'body.place', timeout: 'soon' }],
  ],
  round: (numbers) =>
    numbers.map((no, index) => ({ no, key: `${numbers[0]}-${index % 7}`, place: Math.floor(index / 7) })).toReversed(),
  numbersIn: (body) => [(body as { readonly no: number }).no],
  waitsLong: true,
};

gatheringStepConformance('resequence', sequences);

/** Each waits alone for a number that does not come. */
const gaps: GatheringCase = {
  ...sequences,
  config: { key: 'body.no', number: '7', first: 0, timeout: '2s' },
  round: (numbers) => numbers.map((no) => ({ no })),
  waitsLong: false,
};

it('has every message that waited in vain in one that comes out, wherever workers are killed', {
  timeout: 600_000,
}, async () => {
  const plan = [
    ...[1, 2, 3, 5, 20].map((after) => ({ point: 'while parking', after }) as const),
    ...[1, 3, 9].map((after) => ({ point: 'published', after }) as const),
    { point: 'before ack', after: 4 } as const,
    { point: 'after sink', after: 2 } as const,
  ];
  expect(await killedWhileGathering('resequence', gaps, plan)).toEqual(nothingLost);
});

it('control: what is acknowledged before it is in its queue is lost', { timeout: 600_000 }, async () => {
  const often = Array.from({ length: 4 }, () => ({ point: 'while parking', after: 2 }) as const);
  const { lost } = await killedWhileGathering('resequence', gaps, often, 'ack-before-sink');
  expect(lost.length).toBeGreaterThan(0);
});

const keys = ['a', 'b', 'c'];
/** Neighbours have changed places, and the first three stand in reverse. */
const mixed = Array.from({ length: 23 }, (_, n) => (n < 3 ? 2 - n : n % 2 === 0 ? n - 1 : n + 1));

const delivered = async (steps: object[], kills: number) => {
  const { workshop, receiver, flow, send } = await startOrdered({ partitions: 2 });
  const whole = { ...flow, steps: steps as typeof flow.steps };
  const expected = new Set(keys.flatMap((key) => mixed.map((n) => `${key}-${n}`)));
  for (const n of mixed) for (const key of keys) await send(key, n);
  for (let kill = 1; kill <= kills; kill += 1) {
    const worker = await workshop.startWorker(whole);
    await inTime(() => receiver.counts().size).toBeGreaterThanOrEqual(kill * 8);
    await worker.kill();
  }
  await workshop.startWorker(whole);
  await inTime(() => receiver.counts().size).toBe(expected.size);
  await inTime(() => leftOf(workshop)).toBe(0);
  return receiver;
};

it('delivers in order what came in disorder, although workers are killed', { timeout: 600_000 }, async () => {
  const resequence = { key: 'body.key', number: 'body.n', first: 0, timeout: '1h' };
  const receiver = await delivered([{ name: 'order', resequence }], 2);
  expect(disorder(receiver)).toEqual([]);
  expect(new Set(receiver.calls.map((call) => positionOf(call).key))).toEqual(new Set(keys));
});

it('control: without the step it comes as it was sent', { timeout: 600_000 }, async () => {
  expect(disorder(await delivered([], 0)).length).toBeGreaterThan(0);
});
