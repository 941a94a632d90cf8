import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { freePort } from '../../cluster/ports.ts';
import { kanava } from '../kanava.ts';
import { startKanava } from './run-process.ts';

/*
 * docs/local.md, done as it stands: its files, commands and edits, in their order. Only the port is another one, since that of the page may be
 * in use.
 */
const page = readFileSync(join(import.meta.dirname, '..', '..', '..', 'docs', 'local.md'), 'utf8');
const blocks = (language: string): string[] =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(([, text = '']) => text);
/** What the page says between two texts. */
const said = (pattern: RegExp): readonly string[] => {
  const found = pattern.exec(page);
  if (!found) throw new Error(`docs/local.md has nothing like ${pattern}: mend this test or the page`);
  return found.slice(1);
};
const patience = { timeout: 240_000 };

it('the first Integration in five minutes', { timeout: 600_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kanava-first-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [file, testFile] = [join(folder, 'greeting.yaml'), join(folder, 'greeting.test.yaml')];
  const [greeting = '', tests = ''] = blocks('yaml');
  const [start = '', request = ''] = blocks('sh');
  const port = String(await freePort());
  const wordsOf = (command: string) =>
    command
      .trim()
      .replace(/^kanava /, '')
      .split(' ')
      .map((word) => ({ 'greeting.yaml': file, 'greeting.test.yaml': testFile })[word] ?? word);

  writeFileSync(file, greeting);
  const checked = await kanava(wordsOf(said(/`(kanava check \S+)`/)[0] ?? ''), patience);
  expect(checked.code, checked.stderr).toBe(0);
  expect(checked.stdout).toContain('0 errors, 1 warning');

  const running = startKanava([...wordsOf(start), '--port', port]);
  await running.says(/press Ctrl-C/);
  const [, url = '', type = '', body = ''] = /^curl -i (\S+) -H 'content-type: (.*)' -d '(.*)'\n$/.exec(request) ?? [];
  const send = async (data: string) => {
    const to = url.replace(':8080', `:${port}`);
    return (await fetch(to, { method: 'POST', headers: { 'content-type': type }, body: data })).status;
  };
  expect(running.notes()).toContain(url.replace(':8080', `:${port}`));
  expect(await send(body)).toBe(202);
  await running.prints(/"sink":"desk".*"body":\{"text":"Hello Ada"\}/);

  const [before = '', after = ''] = said(/edit the file: `([^`]*)` to `([^`]*)`/);
  writeFileSync(file, greeting.replace(before, after));
  await running.says(/taken over in/);
  expect(await send(body)).toBe(202);
  await running.prints(/"text":"Good morning Ada"/);
  const [broken = ''] = said(/Break it \(`([^`]*)`\)/);
  writeFileSync(file, greeting.replace(/"='.*"/, broken));
  await running.says(/greeting\.yaml:16:\d+: [\s\S]*what ran before goes on/);
  const [bad = ''] = said(/cannot be worked on \(`-d '([^`]*)'`\)/);
  expect(await send(bad)).toBe(202);
  await running.says(/dead letter of polite: ExpressionFailed: .*Good morning/);
  writeFileSync(file, greeting.replace(before, after));
  expect(await running.end()).toEqual([0, null]);

  writeFileSync(testFile, tests);
  const tried = await kanava(wordsOf(said(/`(kanava test \S+)` tries it/)[0] ?? ''), patience);
  expect(tried.stdout).toContain('1 file: 2 passed, 0 failed');
  expect(tried.code).toBe(0);

  const [stdin, once = ''] = said(/`echo '(.*)' \| (kanava run .*--once -)`/);
  const sent = await kanava([...wordsOf(once), '--port', '0'], { stdin: `${stdin}\n`, ...patience });
  expect([sent.code, sent.stdout]).toEqual([0, expect.stringContaining('Good morning Ada')]);
});
