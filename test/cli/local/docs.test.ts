import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { allPassed, testText } from '../../../cli/local/test-report.ts';
import { runTests } from '../../../cli/local/test-run.ts';

/* What docs/testing.md tells to write is what runs (docs/local.md: first-steps.test.ts). */
const root = join(import.meta.dirname, '..', '..', '..');
const blocksOf = (file: string): string[] =>
  [...readFileSync(join(root, file), 'utf8').matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, text = '']) => text);

const blocks = blocksOf('docs/testing.md');
it('docs/testing.md shows tests', () => expect(blocks.length).toBeGreaterThan(3));

it.each(blocks.map((text, index) => [index + 1, text] as const))(
  'the test %i of docs/testing.md passes beside the example that it is about',
  async (_number, text) => {
    const folder = mkdtempSync(join(tmpdir(), 'kanava-docs-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    cpSync(join(root, 'examples', 'order-events'), folder, { recursive: true });
    const file = join(folder, 'tests', 'it.test.yaml');
    writeFileSync(file, text);
    const results = await runTests([file]);
    expect(allPassed(results), testText(results)).toBe(true);
    expect(results[0]?.cases).toHaveLength(1);
  },
);
