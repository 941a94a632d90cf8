import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { bundle, bundles } from '../build.ts';
import { checkAll } from './check.ts';
import { ensureBinaries } from './cluster/binaries.ts';
import { serverNames } from './cluster/servers.ts';
import { removeTemporaryFolders } from './cluster/temporary.ts';
import { bundlePrograms } from './programs.ts';
import { runWatched, type Watched } from './watched.ts';

/*
 * `npm test`: installs and builds what the tests need, runs the checks and every level of tests, ends with `N passed, N failed`.
 * Nothing is skipped silently: a level that cannot run here is a failure.
 */
const levels = ['unit', 'nats', 'kube', 'e2e'] as const;
/** Those of one stage share the machine: while some wait, others work. A story on the node waits for a third of its time. */
const stages: readonly (readonly string[])[] = [['unit'], ['nats', 'kube', 'e2e']];
const help = `npm test [-- LEVEL...]    levels: ${levels.join(', ')} (default: all, after the checks)
  --no-check              leave the checks out
Ends with "N passed, N failed"; exit code 0 only when nothing failed.`;

interface Counts {
  passed: number;
  failed: number;
}

interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  numFailedTestSuites: number;
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { fullName: string; status: string; failureMessages: string[] }[];
  }[];
}

/** What failed, said again at the end: a long run's log is read from its tail. */
const failures: string[] = [];

const noteFailures = ({ testResults }: Report): void => {
  const note = (file: string, test: string, message: string): number =>
    failures.push(`${relative('.', file)}\n  ${test}\n    ${message.split('\n').slice(0, 12).join('\n    ')}`);
  for (const { name, status, message, assertionResults } of testResults) {
    const bad = assertionResults.filter((test) => test.status !== 'passed');
    for (const test of bad) note(name, test.fullName, test.failureMessages.join('\n') || `status: ${test.status}`);
    if (bad.length === 0 && status !== 'passed') note(name, '(the whole file)', message);
  }
};

const vitest = (projects: readonly string[], programs: string, report: string): Promise<Watched> => {
  const args = projects.map((project) => `--project=${project}`);
  return runWatched(
    'vitest',
    ['run', ...args, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
    {
      // Servers of tests are small and live for a minute: Go's collector would take a fifth of their time.
      env: { GOGC: '400', KANAVA_TEST_PROGRAMS: programs, ...process.env },
      report,
    },
  );
};

const runStage = async (stage: readonly string[], programs: string, folder: string): Promise<Counts> => {
  const name = stage.join(' and ');
  console.log(`\n==> ${name} tests`);
  const report = join(folder, `${stage.join('-')}.json`);
  const { code, left } = await vitest(stage, programs, report);
  const result = JSON.parse(readFileSync(report, 'utf8')) as Report;
  noteFailures(result);
  for (const line of left) failures.push(`${name} tests\n  left a process behind, killed after a minute: ${line}`);
  const skipped = result.numPendingTests + result.numTodoTests;
  if (skipped > 0) console.log(`${skipped} tests of ${name} did not run: that counts as failed`);
  const failed = result.numFailedTests + skipped + left.length;
  // A suite that fails before its tests (an import, a hook) shows only in the exit code.
  return {
    passed: result.numPassedTests,
    failed: failed === 0 && code !== 0 ? Math.max(1, result.numFailedTestSuites) : failed,
  };
};

const main = async (): Promise<number> => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h' }, 'no-check': { type: 'boolean' } },
  });
  if (values.help) {
    console.log(help);
    return 0;
  }
  const unknown = positionals.filter((level) => !levels.includes(level as (typeof levels)[number]));
  if (unknown.length > 0) {
    console.error(`unknown level: ${unknown.join(', ')}\n\n${help}`);
    return 2;
  }
  const started = performance.now();
  const total: Counts = { passed: 0, failed: 0 };
  if (!values['no-check'] && positionals.length === 0) {
    console.log('==> checks');
    if (!(await checkAll())) {
      total.failed += 1;
      failures.push('checks  npm run check');
    }
  }
  console.log('\n==> pinned servers (built once a machine and version)');
  await ensureBinaries(serverNames);
  for (const image of Object.keys(bundles) as (keyof typeof bundles)[]) await bundle(image);
  const programs = await bundlePrograms();

  const folder = mkdtempSync(join(tmpdir(), 'kanava-test-'));
  try {
    const wanted: readonly string[] = positionals.length > 0 ? positionals : levels;
    for (const stage of stages.map((all) => all.filter((level) => wanted.includes(level)))) {
      if (stage.length === 0) continue;
      const counts = await runStage(stage, programs, folder);
      total.passed += counts.passed;
      total.failed += counts.failed;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
    // Servers that files shared ended with their process.
    await removeTemporaryFolders();
  }
  if (failures.length > 0) console.log(`\nwhat failed:\n\n${failures.join('\n\n')}`);
  console.log(`\n${Math.round((performance.now() - started) / 1000)} s in all`);
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed === 0 ? 0 : 1;
};

process.exitCode = await main();
