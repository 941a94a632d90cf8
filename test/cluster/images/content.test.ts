import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { temporaryFolder } from '../temporary.ts';
import { contentHash } from './content.ts';

let folder: string;

beforeEach(async () => {
  folder = await temporaryFolder('content');
  await mkdir(join(folder, 'app/chunks'), { recursive: true });
  await writeFile(join(folder, 'app/main.mjs'), 'main');
  await writeFile(join(folder, 'app/chunks/a.mjs'), 'a');
});
afterEach(() => rm(folder, { recursive: true }));

const hash = (more: string[] = []) => contentHash({ app: join(folder, 'app') }, more);

test('the same content has the same tag', async () => {
  const before = await hash();
  await writeFile(join(folder, 'app/main.mjs'), 'main');
  expect(await hash()).toBe(before);
  expect(before).toMatch(/^[0-9a-f]{12}$/);
});

test.for([
  { why: 'a nested file', change: () => writeFile(join(folder, 'app/chunks/a.mjs'), 'b') },
  { why: 'a new file', change: () => writeFile(join(folder, 'app/chunks/b.mjs'), '') },
  { why: 'a removed file', change: () => rm(join(folder, 'app/chunks/a.mjs')) },
  { why: 'a mode', change: () => chmod(join(folder, 'app/main.mjs'), 0o755) },
])('another tag: $why', async ({ change }) => {
  const before = await hash();
  await change();
  expect(await hash()).not.toBe(before);
});

test('another tag: the base that it stands on', async () => {
  expect(await hash(['base:2'])).not.toBe(await hash(['base:1']));
});
