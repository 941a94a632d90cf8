import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from './outcome.ts';

/** A text to read objects from. */
export interface Source {
  readonly name: string;
  readonly text: string;
  /** Named by the user, not found in a folder: then everything in it should be an object. */
  readonly named: boolean;
}

/** Files as they are named, folders with all YAML below them but tests, `-` for the standard input. */
export const readSources = (paths: readonly string[]): Source[] =>
  paths.flatMap((path) => {
    if (path === '-') return [{ name: 'stdin', text: readFileSync(0, 'utf8'), named: true }];
    if (statOf(path).isDirectory()) return yamlBelow(path).map((file) => sourceOf(file, false));
    return [sourceOf(path, true)];
  });

const statOf = (path: string) => {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) throw new UsageError(`${path}: no such file or folder`);
  return stat;
};

const sourceOf = (name: string, named: boolean): Source => {
  try {
    return { name, text: readFileSync(name, 'utf8'), named };
  } catch (cause) {
    throw new UsageError(`${name} cannot be read: ${(cause as Error).message}`, { cause });
  }
};

const yamlBelow = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      if (entry.name.startsWith('.') || entry.name === 'node_modules') return [];
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return yamlBelow(path);
      return /(?<!\.test)\.ya?ml$/.test(entry.name) ? [path] : [];
    });
