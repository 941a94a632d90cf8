import { join } from 'node:path';
import { expect, it } from 'vitest';
import { testFilesIn } from '../../cli/local/test-read.ts';
import { allPassed, testText } from '../../cli/local/test-report.ts';
import { runTests } from '../../cli/local/test-run.ts';

/* `kanava test examples`: each example does what its tests say. */

it('the tests of the examples pass', async () => {
  const files = testFilesIn([join(import.meta.dirname, '..', '..', 'examples')]);
  expect(files.length).toBeGreaterThan(5);
  const results = await runTests(files);
  expect(allPassed(results), testText(results)).toBe(true);
});
