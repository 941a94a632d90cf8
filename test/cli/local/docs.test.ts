import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { planLocally } from '../../../cli/local/plan.ts';
import { readYaml } from '../../../cli/yaml.ts';
import { testFile } from '../../../operator/api/test-file.ts';

/* What docs/local.md and docs/testing.md tell to write is what runs. */
const root = join(import.meta.dirname, '..', '..', '..');
const blocksOf = (file: string): string[] =>
  [...readFileSync(join(root, file), 'utf8').matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, text = '']) => text);

it('the first Integration of docs/local.md runs as it stands', () => {
  const [text = ''] = blocksOf('docs/local.md');
  const { integrations, findings } = planLocally([{ name: 'greeting.yaml', text, named: true }], {
    namespace: 'local',
    volume: () => undefined,
  });
  expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
  expect(integrations.map(({ name }) => name)).toEqual(['greeting']);
});

it('each test file of docs/testing.md is one', () => {
  const blocks = blocksOf('docs/testing.md');
  expect(blocks.length).toBeGreaterThan(0);
  for (const text of blocks) testFile.parse(readYaml(text).documents[0]?.value);
});
