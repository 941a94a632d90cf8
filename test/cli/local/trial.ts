import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll } from 'vitest';
import { allPassed, testText } from '../../../cli/local/test-report.ts';
import { type FileResult, runTests } from '../../../cli/local/test-run.ts';

/* A folder of YAML, and what `kanava test` says of a test in it. */
export interface Trial {
  readonly results: readonly FileResult[];
  readonly fine: boolean;
  readonly text: string;
}

/** The folder is removed when `onEnd` says so. */
export const trialIn = (
  files: Readonly<Record<string, string>>,
  onEnd: (remove: () => void) => void = afterAll,
): ((test: string) => Promise<Trial>) => {
  const folder = mkdtempSync(join(tmpdir(), 'kanava-trial-'));
  onEnd(() => rmSync(folder, { recursive: true }));
  const write = (name: string, text: string): string => {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  };
  for (const [name, text] of Object.entries(files)) write(name, text);
  return async (test) => {
    const results = await runTests([write('it.test.yaml', test)]);
    return { results, fine: allPassed(results), text: stripVTControlCharacters(testText(results)) };
  };
};
