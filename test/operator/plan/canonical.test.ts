import { array, assert, constantFrom, dictionary, letrec, oneof, option, property } from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson, isSameJson } from '../../../operator/plan/canonical.ts';

const seed = 20261122;

/** With absent fields, and few different values, so that two often are the same. */
const values = letrec((tie) => ({
  value: oneof(
    { maxDepth: 3 },
    constantFrom<unknown>(null, true, 0, 1, 'a', ''),
    array(tie('value'), { maxLength: 3 }),
    dictionary(constantFrom('a', 'b', 'c'), option(tie('value'), { nil: undefined }), { maxKeys: 3 }),
  ),
})).value;

test('two values are the same if, and only if, their canonical JSON is', () => {
  let equal = 0;
  assert(
    property(values, values, (one, other) => {
      const isSame = canonicalJson(one) === canonicalJson(other);
      if (isSame) equal += 1;
      expect(isSameJson(one, other)).toBe(isSame);
      expect(isSameJson(one, JSON.parse(canonicalJson(one)))).toBe(true);
    }),
    { seed, numRuns: 2_000 },
  );
  expect(equal).toBeGreaterThan(20);
});
