import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A folder in place of a mounted volume. */
export interface TestVolume {
  readonly path: string;
  /** Files of a folder, sorted; none when it is not there. Not those in folders of it, nor hidden ones. */
  files(folder?: string): Promise<string[]>;
  put(name: string, content: string | Uint8Array, modifiedMs?: number): Promise<string>;
}

export const testVolume = (): TestVolume => {
  const path = mkdtempSync(join(tmpdir(), 'kanava-volume-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return volumeAt(path);
};

export const volumeAt = (path: string): TestVolume => ({
  path,
  async files(folder = '.') {
    const entries = await readdir(join(path, folder), { withFileTypes: true }).catch(() => []);
    return entries
      .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'))
      .map(({ name }) => name)
      .sort();
  },
  async put(name, content, modifiedMs) {
    const file = join(path, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
    if (modifiedMs !== undefined) await utimes(file, modifiedMs / 1000, modifiedMs / 1000);
    return file;
  },
});
