import { createHash } from 'node:crypto';
import { cp, readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';

/** What goes into an image: name in the build context -> file or folder on this machine. */
export type Content = Record<string, string>;

// Servers and the Node binary carry their version in name, size and time; reading 100 MB each time would cost more than it tells.
const large = 8 * 1024 * 1024;

const fingerprints = async (name: string, path: string): Promise<string[]> => {
  const info = await stat(path);
  if (info.isDirectory()) {
    const entries = (await readdir(path)).sort();
    return (await Promise.all(entries.map((entry) => fingerprints(join(name, entry), join(path, entry))))).flat();
  }
  const mode = (info.mode & 0o777).toString(8);
  const content =
    info.size > large
      ? `${basename(path)} ${info.size} ${info.mtimeMs}`
      : createHash('sha256')
          .update(await readFile(path))
          .digest('hex');
  return [`${name} ${mode} ${content}`];
};

/** Twelve hexadecimal digits that change when anything in an image changes. */
export const contentHash = async (content: Content, more: string[]): Promise<string> => {
  const files = await Promise.all(Object.entries(content).map(([name, path]) => fingerprints(name, path)));
  return createHash('sha256')
    .update([...more, ...files.flat().sort()].join('\n'))
    .digest('hex')
    .slice(0, 12);
};

export const copyContent = async (content: Content, folder: string): Promise<void> => {
  for (const [name, path] of Object.entries(content))
    await cp(path, join(folder, name), { recursive: true, dereference: true });
};
