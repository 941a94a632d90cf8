import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { freePort, reserve } from './ports.ts';

const module = JSON.stringify(new URL('ports.ts', import.meta.url).href);
const elsewhere = async (script: string): Promise<string> => {
  const args = ['--input-type=module', '--eval', `import { freePort, reserve } from ${module}; ${script}`];
  return (await promisify(execFile)(process.execPath, args)).stdout;
};

it('gives a port to one process only, until that has ended', async () => {
  const port = await freePort();
  expect(await reserve(port)).toBe(false);
  expect(await elsewhere(`process.stdout.write(String(await reserve(${port})))`)).toBe('false');
  const theirs = Number(await elsewhere('process.stdout.write(String(await freePort()))'));
  expect(await reserve(theirs)).toBe(true);
});
