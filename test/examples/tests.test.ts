import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { FileResult } from '../../cli/local/test-run.ts';
import { kanava } from '../cli/kanava.ts';

/* `kanava test examples`: each example has tests, and does what they say. That a broken one is found: test/docs/reference.test.ts. */
const examples = readdirSync(join(import.meta.dirname, '..', '..', 'examples')).filter((name) => name !== 'bad');

it('the tests of all examples pass', { timeout: 300_000 }, async () => {
  const { code, stdout, stderr } = await kanava(['test', 'examples', '-o', 'json'], { timeout: 240_000 });
  expect(code, stdout + stderr).toBe(0);
  const results = JSON.parse(stdout) as FileResult[];
  expect(new Set(results.map(({ file }) => file.split('/')[1]))).toEqual(new Set(examples));
  for (const { file, cases } of results) expect(cases.length, file).toBeGreaterThan(0);
});
