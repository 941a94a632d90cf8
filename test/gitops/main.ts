import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { KubeObject } from '../../operator/reconcile/ports.ts';
import { environmentWith } from '../cluster/settings.ts';
import { fewest, recordedStatuses, statusesFile } from './statuses.ts';

/*
 * `node test/gitops/main.ts [FILE...]`: runs the tests that run the operator as a process, and keeps statuses that it wrote there; with
 * files, beside those that are kept. Needed when a condition or a reason is new; test/gitops/health.test.ts says when.
 */
const all = ['test/operator/reconcile', 'test/examples', 'test/gitops', 'test/charts'];

const runTests = (files: readonly string[], folder: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const child = spawn('npx', ['vitest', 'run', '--project', 'kube', ...files], {
      stdio: 'inherit',
      env: environmentWith({ KANAVA_STATUSES: folder }),
    });
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });

const files = process.argv.slice(2);
const folder = await mkdtemp(join(tmpdir(), 'kanava-statuses-'));
try {
  const code = await runTests(files.length > 0 ? files : all, folder);
  const recorded: KubeObject[] = files.length > 0 ? recordedStatuses() : [];
  for (const name of (await readdir(folder)).sort())
    recorded.push(...(JSON.parse(await readFile(join(folder, name), 'utf8')) as KubeObject[]));
  const kept = fewest(recorded);
  await writeFile(statusesFile, `[\n${kept.map((object) => JSON.stringify(object)).join(',\n')}\n]\n`);
  console.log(`${kept.length} of ${recorded.length} statuses are in ${relative('.', statusesFile)}`);
  process.exitCode = code;
} finally {
  await rm(folder, { recursive: true });
}
