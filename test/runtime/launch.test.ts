import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, rm, writeFile } from 'node:fs/promises';
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

/** Told to end while it is still read, and only then ready to be told; exits with 7 when it heard, with 8 at the next signal when not. */
const readFor = async (folder: string, takesOver: string) => {
  const go = join(folder, 'go');
  await rm(go, { force: true });
  await writeFile(
    join(folder, 'gateway.cjs'),
    `const { existsSync, writeSync } = require('node:fs');
    writeSync(1, 'starting');
    while (!existsSync(${JSON.stringify(go)}));
    ${takesOver}
    process.on('SIGTERM', () => process.exit(7));
    process.on('SIGINT', () => process.exit(8));
    setInterval(() => writeSync(1, 'ready'), 50);`,
  );
  const child = spawn(process.execPath, [join(folder, 'runtime.cjs'), 'gateway'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit') as Promise<[code: number | null, signal: string | null]>;
  await once(child.stdout, 'data');
  child.kill('SIGTERM');
  await writeFile(go, '');
  // By then it has heard what it hears.
  await Promise.race([once(child.stdout, 'data'), ended]);
  child.kill('SIGINT');
  return await ended;
};

it('loses no signal that comes while the program is read', async () => {
  const folder = await temporaryFolder('launch');
  await copyFile(join(import.meta.dirname, '../../runtime/launch.cjs'), join(folder, 'runtime.cjs'));
  expect(await readFor(folder, '')).toEqual([7, null]);
  // The control: whoever replaces the listener does.
  expect(await readFor(folder, "process.removeAllListeners('SIGTERM');")).toEqual([8, null]);
});
