import { expect, it } from 'vitest';
import { aggregateStep } from '../../../runtime/steps/aggregate.ts';
import {
  type GatheringCase,
  gatheringStepConformance,
  killedWhileGathering,
} from '../../conformance/gathering-step.ts';

/** Groups of three, of which some get no third message. */
const groups: GatheringCase = {
  definition: aggregateStep,
  config: { key: 'body.key', until: { count: 3, timeout: '2s' } },
  bad: [
    ['no end', { key: 'body.key' }],
    ['what is no expression', { key: 'body.key +', until: { timeout: '2s' } }],
    ['a count of one', { key: 'body.key', until: { count: 1, timeout: '2s' } }],
    ['no time', { key: 'body.key', until: { timeout: 'soon' } }],
  ],
  round: (numbers) => numbers.map((no, index) => ({ no, key: `${numbers[0]}-${index % 7}` })),
  numbersIn: (body) => (body as readonly { readonly no: number }[]).map(({ no }) => no),
};

gatheringStepConformance('aggregate', groups);

const often = (point: 'pulled' | 'before ack') => Array.from({ length: 4 }, () => ({ point, after: 4 }) as const);

it('control: what is acknowledged before it is in its group is lost', { timeout: 600_000 }, async () => {
  const { lost } = await killedWhileGathering('aggregate', groups, often('pulled'), 'ack-before-sink');
  expect(lost.length).toBeGreaterThan(0);
});

it('control: who forgets the messages of a group that has ended has some in two', { timeout: 600_000 }, async () => {
  const { repeated } = await killedWhileGathering('aggregate', groups, often('before ack'), 'forgets-parts');
  expect(repeated.length).toBeGreaterThan(0);
});
