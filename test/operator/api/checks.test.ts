import { expect, test } from 'vitest';
import { flowCycles, unknownFlows } from '../../../operator/api/checks.ts';

const flows = (...names: string[]) => names.map((name) => ({ name }));
/** Flow `from` (an index; -1 is spec.steps) refers to `name`. */
const refers = (from: number, name: string) => ({
  name,
  path: from < 0 ? ['spec', 'steps', 0, 'choice'] : ['spec', 'flows', from, 'steps', 0, 'choice'],
});

test.each([
  { why: 'nothing refers', references: [], found: [] },
  { why: 'it is there', references: [refers(-1, 'a')], found: [] },
  {
    why: 'it is not there',
    references: [refers(-1, 'c')],
    found: ['spec.steps[0].choice'],
  },
  {
    why: 'a flow refers to one that is not there',
    references: [refers(1, 'c'), refers(0, 'b')],
    found: ['spec.flows[1].steps[0].choice'],
  },
])('unknown flows: $why', ({ references, found }) => {
  expect(unknownFlows(flows('a', 'b'), references).map(({ path }) => path)).toEqual(found);
});

test.each([
  { why: 'a line', references: [refers(-1, 'a'), refers(0, 'b'), refers(1, 'c')], found: [] },
  {
    why: 'two ways to one flow',
    references: [refers(0, 'b'), refers(0, 'c'), refers(1, 'd'), refers(2, 'd')],
    found: [],
  },
  { why: 'itself', references: [refers(1, 'b')], found: ['b -> b'] },
  { why: 'two', references: [refers(0, 'b'), refers(1, 'a')], found: ['a -> b -> a'] },
  {
    why: 'three, from the outside',
    references: [refers(0, 'b'), refers(1, 'c'), refers(2, 'd'), refers(3, 'b')],
    found: ['b -> c -> d -> b'],
  },
  {
    why: 'two circles',
    references: [refers(0, 'a'), refers(2, 'd'), refers(3, 'c')],
    found: ['a -> a', 'c -> d -> c'],
  },
  { why: 'a flow that is not there ends the way', references: [refers(0, 'x')], found: [] },
])('circles: $why', ({ references, found }) => {
  const circles = flowCycles(flows('a', 'b', 'c', 'd'), references);
  expect(circles.map(({ message }) => message.replace('flows refer to each other in a circle: ', ''))).toEqual(found);
});
