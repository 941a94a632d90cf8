import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryFolder } from './cluster/temporary.ts';
import { runWatched } from './watched.ts';

const run = async (script: string) => {
  const folder = await temporaryFolder('watched');
  const env = { ...process.env, FOLDER: folder };
  const watched = await runWatched('sh', ['-c', script], { env, report: join(folder, 'report'), graceMs: 200 });
  return { ...watched, folder };
};

it('ends what waits for a program that was left behind, and tells which', async () => {
  const { code, left, folder } = await run('sleep 600 & echo $! >$FOLDER/pid; echo >$FOLDER/report; wait; exit 3');
  expect({ code, left }).toEqual({ code: 3, left: ['sleep 600'] });
  const pid = Number(await readFile(join(folder, 'pid'), 'utf8'));
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
});

it('ends what does not end by itself', async () => {
  expect(await run('echo >$FOLDER/report; while :; do read x </dev/zero || :; done')).toMatchObject({
    code: 1,
    left: [],
  });
});

it('leaves alone what has not written its report, and what ends in time', async () => {
  expect(await run('sleep 1; echo >$FOLDER/report; exit 5')).toMatchObject({ code: 5, left: [] });
});
