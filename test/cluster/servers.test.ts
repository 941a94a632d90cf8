import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { binaryPath } from './binaries.ts';
import { run } from './command.ts';
import { serverNames, servers, versionOf } from './servers.ts';

test('every server has a version in its go.mod, and no folder of tools is left over', () => {
  for (const name of serverNames) expect(versionOf(name)).toMatch(/^v\d+\.\d+\.\d+$/);
  const groups = new Set(serverNames.map((name) => servers[name].group));
  expect(readdirSync(join(import.meta.dirname, 'tools')).sort()).toEqual([...groups].sort());
});

test('what is built is named by its version: a new one never meets the old', () => {
  expect(binaryPath('nats-server')).toMatch(/\/bin\/nats-server-v\d+\.\d+\.\d+$/);
});

test.for([
  { args: ['--help'], code: 0, why: 'help was asked for' },
  { args: [], code: 2, why: 'no command' },
  { args: ['binaries', 'nats'], code: 2, why: 'an unknown server' },
  { args: ['up', '--provider', 'aws'], code: 2, why: 'an unknown provider' },
])('the command line ends with $code: $why', async ({ args, code }) => {
  const result = await run(process.execPath, [join(import.meta.dirname, 'main.ts'), ...args]);
  expect(result.code).toBe(code);
  expect(`${result.stdout}${result.stderr}`).toContain('Usage: cluster');
});
