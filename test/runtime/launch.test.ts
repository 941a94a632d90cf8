import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../cluster/temporary.ts';

/*
 * A container's first process ignores a signal for which it has no handler. A pod that is stopped while it starts would stay for its whole
 * grace period, and its namespace with it.
 */
const endsWith = async (file: string) => {
  const child = spawn(process.execPath, [file, 'gateway'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit') as Promise<[code: number | null, signal: string | null]>;
  await once(child.stdout, 'data');
  child.kill('SIGTERM');
  return await ended;
};

it('hears the end before the program does', async () => {
  const folder = await temporaryFolder('launch');
  const [launcher, program] = [join(folder, 'runtime.cjs'), join(folder, 'gateway.cjs')];
  await copyFile(join(import.meta.dirname, '../../runtime/launch.cjs'), launcher);
  await writeFile(program, "console.log('starting'); setInterval(() => undefined, 60_000);");
  expect(await endsWith(launcher)).toEqual([0, null]);
  // The control: by itself it has no handler.
  expect(await endsWith(program)).toEqual([null, 'SIGTERM']);
});
