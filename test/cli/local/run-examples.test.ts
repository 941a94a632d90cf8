import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { startKanava } from './run-process.ts';

/*
 * `kanava run` of every example as a user does it: it starts, an edit takes effect, a broken one leaves what runs, Ctrl-C ends it. The figures
 * are printed: CPU is that of all threads, time is the clock's, and both are those of the machine as it is.
 */
const examples = join(import.meta.dirname, '..', '..', '..', 'examples');
const names = readdirSync(examples).filter((name) => name !== 'bad');
const figures: Record<string, object> = {};
afterAll(() => console.table(figures));

/** A copy with all that it needs beside it. */
const copyOf = (name: string) => {
  const folder = mkdtempSync(join(tmpdir(), 'kanava-example-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const example = join(folder, name);
  cpSync(join(examples, name), example, { recursive: true });
  const files = readdirSync(example).filter((file) => file.endsWith('.yaml'));
  const texts = files.map((file) => readFileSync(join(example, file), 'utf8'));
  for (const [, secret = '', key = ''] of texts.join('').matchAll(/secretKeyRef: \{name: ([\w-]+), key: ([\w-]+)\}/g)) {
    const value = join(folder, 'secrets', secret, key);
    mkdirSync(dirname(value), { recursive: true });
    writeFileSync(value, 'value');
  }
  for (const [, claim = ''] of texts.join('').matchAll(/claim: ([\w-]+)/g))
    mkdirSync(join(folder, 'volumes', claim), { recursive: true });
  const index = texts.findIndex((text) => steps.test(text));
  return { folder, example, file: join(example, files[index] ?? ''), text: texts[index] ?? '' };
};
const steps = /^ {2}steps:\n/m;
const edited = (text: string, step: string) => text.replace(steps, `  steps:\n    - {name: ${step}, log: {text: x}}\n`);

describe('kanava run', () => {
  it.each(names)('examples/%s', { timeout: 600_000 }, async (name) => {
    const { folder, example, file, text } = copyOf(name);
    const args = [
      'run',
      example,
      '--print',
      '--port',
      '0',
      '--secrets',
      join(folder, 'secrets'),
      '--volumes',
      join(folder, 'volumes'),
    ];
    // What it compiles, beyond what the installation has, is kept for the next time.
    const first = startKanava(args);
    const firstMs = await first.says(/press Ctrl-C/);
    expect(await first.end()).toEqual([0, null]);

    const running = startKanava(args);
    const startMs = await running.says(/press Ctrl-C/);
    const startCpuMs = running.cpuMs();
    const [url] = /http:[^\s,]+/.exec(running.notes()) ?? [];
    const isServed = async () => url === undefined || (await fetch(url, { method: 'PATCH' })).status === 405;
    expect(await isServed()).toBe(true);

    writeFileSync(file, edited(text, 'edited'));
    const editMs = await running.says(/: restarted: .* edited [\s\S]*taken over in \d+ ms/);
    writeFileSync(file, edited(text, 'broken').replace('name: broken', 'name: [broken'));
    const brokenMs = await running.says(/not taken over: what ran before goes on/);
    expect(await isServed()).toBe(true);
    // What ran before is what it is compared with.
    writeFileSync(file, edited(text, 'edited'));
    writeFileSync(file, edited(text, 'mended'));
    await running.says(/: restarted: .* mended /);
    expect(running.notes()).not.toMatch(/: (stopped|restarted: .* broken )/);
    expect(await running.end()).toEqual([0, null]);
    figures[name] = {
      'first ms': firstMs,
      'start CPU ms': startCpuMs,
      'start ms': startMs,
      'edit ms': editMs,
      'broken edit ms': brokenMs,
    };
  });
});
