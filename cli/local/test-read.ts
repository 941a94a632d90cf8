import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { ambiguousKeys } from '../../operator/api/checks.ts';
import { findingsOf } from '../../operator/api/findings.ts';
import { annotated } from '../../operator/api/openapi.ts';
import { type TestFile, testFile } from '../../operator/api/test-file.ts';
import { reasonOf } from '../../runtime/errors.ts';
import type { FileFinding } from '../finding.ts';
import { UsageError } from '../outcome.ts';
import { readSources, type Source } from '../sources.ts';
import { readYaml, type YamlDocument } from '../yaml.ts';

/* Files of tests, with the place of every mistake. */

export const testFilesIn = (paths: readonly string[]): string[] =>
  paths.flatMap((path) => {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat) throw new UsageError(`${path}: no such file or folder`);
    return stat.isDirectory() ? testsBelow(path) : [path];
  });

const testsBelow = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      if (entry.name.startsWith('.') || entry.name === 'node_modules') return [];
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return testsBelow(path);
      return /\.test\.ya?ml$/.test(entry.name) ? [path] : [];
    });

const schema = annotated(testFile);

/** One YAML document. */
export interface ReadTests {
  readonly tests: TestFile;
  readonly placeOf: YamlDocument['placeOf'];
}
/** With findings nothing of the file is tried. */
export const readTests = (file: string): { documents: readonly ReadTests[]; findings: readonly FileFinding[] } => {
  const finding = (
    rule: string,
    path: string,
    message: string,
    place: { line: number; column: number },
  ): FileFinding => ({
    file,
    ...place,
    object: '',
    path,
    message,
    rule,
    reason: rule,
    severity: 'error',
  });
  const { documents, problem } = readYaml(contentOf(file));
  if (problem)
    return { documents: [], findings: [finding(problem.rule, problem.path, problem.message, problem.place)] };
  if (documents.length === 0)
    return { documents: [], findings: [finding('Syntax', '', 'has no YAML document', { line: 1, column: 1 })] };
  const read = documents.map((document) => {
    const parsed = testFile.safeParse(document.value);
    const found = parsed.success
      ? ambiguousKeys(schema, document.value, [])
      : findingsOf(parsed.error.issues, document.value, schema);
    const findings = [...document.problems, ...found].map(({ rule, path, message }) =>
      finding(rule, path, message, document.placeOf(path)),
    );
    return { tests: parsed.success ? [{ tests: parsed.data, placeOf: document.placeOf }] : [], findings };
  });
  return { documents: read.flatMap(({ tests }) => tests), findings: read.flatMap(({ findings }) => findings) };
};

const contentOf = (file: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new UsageError(`${file} cannot be read: ${reasonOf(cause)}`, { cause });
  }
};

/**
 * The objects that a file tests: those that it names, else all beside it. `kubectl apply -f` of a folder reads every YAML file in it, so tests
 * may lie in a folder of their own.
 */
export const objectsOf = (file: string, { files }: TestFile): Source[] => {
  const around = basename(dirname(resolve(file))) === 'tests' ? '..' : '.';
  return readSources((files ?? [around]).map((each) => besides(file, each)));
};

export const besides = (file: string, name: string): string => resolve(dirname(file), name);
