import { expect, it } from 'vitest';
import { partitionOf } from '../../../runtime/nats/partition.ts';

it.each([
  ['order-1', 4, 1],
  ['order-2', 4, 2],
  ['', 4, 2],
  ['å', 256, 223],
])('the partition of "%s" among %i is %i, as it always was', (key, partitions, expected) => {
  expect(partitionOf(key, partitions)).toBe(expected);
});

it('keys are spread over all partitions, and one partition takes all', () => {
  const used = new Set(Array.from({ length: 2_000 }, (_, index) => partitionOf(`k${index}`, 16)));
  expect(used.size).toBe(16);
  expect(partitionOf('anything', 1)).toBe(0);
});
