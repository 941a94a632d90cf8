import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { FileResult } from '../../cli/local/test-run.ts';
import { readYaml } from '../../cli/yaml.ts';
import { referencePages } from '../../operator/api/reference.ts';
import type { TestFile } from '../../operator/api/test-file.ts';
import { catalog } from '../../runtime/catalog.ts';
import { kanava } from '../cli/kanava.ts';

/*
 * What the pages of docs/reference show of steps is what they do: their examples are tests, and are run as such (those of connectors:
 * connector-examples.test.ts). That the pages are those of now is test/operator/api/generate.test.ts.
 */
const files = referencePages();
const pages = [...files].flatMap(([path, text]) => {
  const [, role, name] = /reference\/(\w+)\/([\w-]+)\.md$/.exec(path) ?? [];
  const blocks = [...text.matchAll(/^.*:\n\n```yaml\n([\s\S]*?)^```/gm)].map(([, block = '']) => block);
  return role && name ? [{ role, name, text, blocks }] : [];
});
const pagesOf = (role: string) => pages.filter((page) => page.role === role);
const folder = 'docs/reference/steps';
const patience = { timeout: 240_000 };

it('everything of the catalogue has its page, and no block of one is left out here', () => {
  for (const role of ['steps', 'sources', 'sinks', 'connections'] as const)
    expect(pagesOf(role).map(({ name }) => name)).toEqual([...catalog[role].keys()]);
  for (const { text, blocks } of pages) expect(blocks).toHaveLength(text.split('```yaml').length - 1);
});

describe.each(pagesOf('steps'))('the page of the step $name', ({ name, blocks }) => {
  const tests = files.get(`${folder}/${name}.test.yaml`) ?? '';
  const shown = blocks.map((block) => readYaml(block).documents[0]?.value as TestFile);

  it('shows the tests of the file beside it, and nothing else', () => {
    expect(tests.split('\n---\n').map((text) => text.replaceAll(/^#.*\n/gm, '').trimEnd())).toEqual(
      blocks.map((block) => block.trimEnd()),
    );
    for (const { step } of shown) expect(Object.keys(step ?? {})).toEqual([name]);
  });

  it('shows what works and an edge of it, a bad configuration, and what becomes of bad input', () => {
    const cases = shown.flatMap((each) => each.cases ?? []);
    // Some steps let pass what is no JSON: then that is what they show.
    const ofBadInput = cases.filter(
      ({ given, expect: { deadLetters } }) => deadLetters || given.some(({ text }) => text !== undefined),
    );
    expect(shown.length).toBeGreaterThanOrEqual(4);
    expect(ofBadInput.length).toBeGreaterThanOrEqual(1);
    expect(cases.filter(({ expect: { becomes } }) => becomes).length).toBeGreaterThanOrEqual(2);
    expect(shown.filter(({ refused }) => refused !== undefined).length).toBeGreaterThanOrEqual(1);
  });
});

describe('kanava test docs/reference', { timeout: 300_000 }, () => {
  it('runs every example of a step, and all pass', async () => {
    const { code, stdout, stderr } = await kanava(['test', 'docs/reference', '-o', 'json'], patience);
    expect(code, stdout + stderr).toBe(0);
    const results = JSON.parse(stdout) as FileResult[];
    const counts = results.map(({ file, cases }) => [file, cases.length] as const);
    expect(new Map(counts)).toEqual(
      new Map(pagesOf('steps').map(({ name, blocks }) => [`${folder}/${name}.test.yaml`, blocks.length])),
    );
  });

  it('control: an example that promises something else is found, with the difference', async () => {
    const copy = mkdtempSync(join(tmpdir(), 'kanava-reference-'));
    onTestFinished(() => rmSync(copy, { recursive: true }));
    const file = join(copy, 'filter.test.yaml');
    cpSync(`${folder}/filter.test.yaml`, file);
    writeFileSync(file, readFileSync(file, 'utf8').replace('becomes: []', 'becomes: [{body: {total: 3}}]'));
    const { code, stdout } = await kanava(['test', copy], patience);
    expect(code).toBe(1);
    const text = stripVTControlCharacters(stdout);
    expect(text).toMatch(/FAIL what does not pass is done[\s\S]*becomes \(- expected, \+ got\)[\s\S]*- .*"total": 3/);
    expect(text).toContain('1 file: 4 passed, 1 failed');
  });
});

it('kanava steps NAME says what the page says', async () => {
  const { stdout } = await kanava(['steps', 'split'], patience);
  const blocks = pagesOf('steps').find(({ name }) => name === 'split')?.blocks ?? [];
  expect(blocks.length).toBeGreaterThan(3);
  for (const block of blocks) expect(stdout).toContain(block.replaceAll(/^(?=.)/gm, '    '));
});
