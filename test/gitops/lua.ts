import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubeObject } from '../../operator/reconcile/ports.ts';
import { ensureBinary } from '../cluster/binaries.ts';
import { mustRun } from '../cluster/command.ts';
import { temporaryFolder } from '../cluster/temporary.ts';

export interface Health {
  readonly status: string;
  readonly message: string;
}

/** Argo CD opens the base library and that of tables to a health script; of `os` only what the script could not miss. */
const closed = [
  'string',
  'math',
  'io',
  'os',
  'debug',
  'coroutine',
  'channel',
  'require',
  'module',
  'package',
  'dofile',
];

/** What a health script says of each object, in the Lua of Argo CD and in a process. */
export const healthOf = async (script: string, objects: readonly KubeObject[]): Promise<Health[]> => {
  const file = join(await temporaryFolder('lua'), 'health.lua');
  const calls = objects.map((object) => `obj = ${literal(object)}\nsay(health())`);
  const open = 'local tostring, write, gsub = tostring, io.write, string.gsub';
  const say = `local function say(found) write(found.status, "\\t", (gsub(found.message or "", "%s", " ")), "\\n") end`;
  const close = closed.map((name) => `${name} = nil`).join('\n');
  await writeFile(file, [open, say, `local function health()\n${script}\nend`, close, ...calls].join('\n'));
  const lines = (await mustRun(await ensureBinary('glua'), [file])).trimEnd().split('\n');
  return lines.map((line) => {
    const [status = '', message = ''] = line.split('\t');
    return { status, message };
  });
};

const literal = (value: unknown): string => {
  if (Array.isArray(value)) return `{${value.map(literal).join(', ')}}`;
  if (value === null || value === undefined) return 'nil';
  if (typeof value === 'object') {
    const fields = Object.entries(value).map(([key, field]) => `[${quoted(key)}] = ${literal(field)}`);
    return `{${fields.join(', ')}}`;
  }
  return typeof value === 'string' ? quoted(value) : JSON.stringify(value);
};
const quoted = (text: string): string =>
  `"${[...new TextEncoder().encode(text)].map((byte) => `\\${String(byte).padStart(3, '0')}`).join('')}"`;
