import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/* `examples/bad`: what must be said of each file, and by whom; its README has the convention. */
export type By = 'apiserver' | 'condition' | 'check';
export interface Expected {
  readonly text: string;
  readonly by: By;
}
export interface BadExample {
  readonly file: string;
  readonly text: string;
  readonly expected: readonly Expected[];
}

export const badFolder = join(import.meta.dirname, '..', '..', 'examples', 'bad');

export const badExamples: readonly BadExample[] = readdirSync(badFolder)
  .filter((name) => name.endsWith('.yaml'))
  .sort()
  .map((file) => {
    const text = readFileSync(join(badFolder, file), 'utf8');
    return { file, text, expected: expectedIn(file, text) };
  });

/** A `# by:` is about the `# expect:` lines right above it. */
function expectedIn(file: string, text: string): Expected[] {
  const expected: Expected[] = [];
  let waiting: string[] = [];
  for (const line of text.split('\n')) {
    const [, word, value = ''] = /^# (expect|by): (.*)$/.exec(line) ?? [];
    if (word === undefined) break;
    if (word === 'expect') waiting.push(value);
    else {
      if (!['apiserver', 'condition', 'check'].includes(value)) throw new Error(`${file}: "${value}" says nothing`);
      expected.push(...waiting.map((one) => ({ text: one, by: value as By })));
      waiting = [];
    }
  }
  if (expected.length === 0 || waiting.length > 0) throw new Error(`${file}: each # expect: needs a # by: after it`);
  return expected;
}

/** What a finding says, as it stands in the files. */
export const saidIn = ({ path, message }: { path: string; message: string }): string =>
  path === '' ? message : `${path}: ${message}`;
