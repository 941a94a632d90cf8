import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { catalog } from '../../../runtime/catalog.ts';
import type { OpenSink, SinkContext, SinkDefinition } from '../../../runtime/connector.ts';
import { Body, type Message } from '../../../runtime/message.ts';
import { attemptOf } from '../attempt.ts';
import { scope } from '../steps/harness.ts';
import { type TestVolume, testVolume } from './volume.ts';

/* The file sink on a real folder: names, what is there already, and that nobody sees a part of a file. */
const definition = catalog.sinks.get('file') as SinkDefinition;

const open = async (config: Readonly<Record<string, unknown>>, volume: TestVolume = testVolume()) => {
  const context: SinkContext = {
    egress: { resolve: () => Promise.reject(new Error('it goes nowhere')) },
    connection: { claim: 'exchange', folder: 'out' },
    volume: () => volume.path,
    secret: () => '',
    ca: () => '',
    log: { info: () => undefined, warn: () => undefined, error: () => undefined, debug: () => undefined },
    signal: new AbortController().signal,
    scope,
    publish: () => Promise.reject(new Error('a file publishes nothing')),
  };
  const sink = await definition.open(
    definition.config.parse({ connectionRef: { name: 'exchange' }, ...config }),
    context,
  );
  return { sink, volume };
};
const messageOf = (body: unknown, id = '1'): Message => ({
  attrs: { id, source: '/shop', type: 'order', specversion: '1.0' },
  headers: {},
  body: Body.fromValue(body as never),
});
const send = (sink: OpenSink, message: Message) => sink.send(message, attemptOf());
const read = ({ path }: TestVolume, name: string) => readFile(join(path, 'out', name), 'utf8');

describe('file sink', () => {
  it('writes the body under its name, in folders that it makes', async () => {
    const { sink, volume } = await open({ folder: 'orders', name: "=body.country + '/' + body.no + '.json'" });
    await send(sink, messageOf({ country: 'FI', no: '7' }));
    expect(await read(volume, 'orders/FI/7.json')).toBe('{"country":"FI","no":"7"}');
    expect(await readdir(join(volume.path, 'out/.kanava'))).toEqual([]);
  });

  it('writes an empty body as an empty file', async () => {
    const { sink, volume } = await open({ name: 'a' });
    await send(sink, { ...messageOf(null), body: Body.fromBytes(Buffer.from('')) });
    expect(await read(volume, 'a')).toBe('');
  });

  const policies: readonly [policy: string | undefined, expected: readonly string[] | 'FileExists'][] = [
    [undefined, ['"second"']],
    ['Replace', ['"second"']],
    ['Reject', 'FileExists'],
    ['Rename', ['"first"', '"second"']],
  ];
  it.each(policies)('%s: what becomes of a file of that name', async (ifExists, expected) => {
    const { sink, volume } = await open({ name: 'a.json', ...(ifExists ? { ifExists } : {}) });
    await send(sink, messageOf('first', '1'));
    const second = messageOf('second', '2');
    if (typeof expected === 'string') {
      await expect(send(sink, second)).rejects.toMatchObject({ code: expected, instruction: 'reject' });
      expect(await read(volume, 'a.json')).toBe('"first"');
      return;
    }
    await send(sink, second);
    const names = await volume.files('out');
    expect((await Promise.all(names.map((name) => read(volume, name)))).sort()).toEqual(expected);
    // Again, as after a crash: nothing more.
    await send(sink, second);
    expect(await volume.files('out')).toEqual(names);
  });

  it.each(['Reject', 'Rename'])('%s: of many at once with one name, none replaces another', async (ifExists) => {
    const { sink, volume } = await open({ name: 'a', ifExists });
    const sent = await Promise.allSettled(
      Array.from({ length: 16 }, (_, index) => send(sink, messageOf(index, String(index)))),
    );
    const written = sent.filter(({ status }) => status === 'fulfilled').length;
    expect(await volume.files('out')).toHaveLength(written);
    expect(written).toBe(ifExists === 'Reject' ? 1 : 16);
  });

  it('shows readers whole files only', async () => {
    const { sink, volume } = await open({ name: 'a' });
    const size = 4 * 1024 ** 2;
    const sizes = new Set<number>();
    const sent = new AbortController();
    const reading = (async () => {
      while (!sent.signal.aborted) {
        const found = await stat(join(volume.path, 'out/a')).catch(() => undefined);
        if (found) sizes.add(found.size);
      }
    })();
    for (let round = 0; round < 5; round += 1)
      await send(sink, { ...messageOf(null), body: Body.fromBytes(Buffer.alloc(size, round)) });
    sent.abort();
    await reading;
    expect([...sizes]).toEqual([size]);
  });

  it.each(['../creds', '/etc/passwd', 'a/../../b', '.bashrc', 'a\0b', 'n'.repeat(201), '', 7])(
    'refuses the name %j',
    async (name) => {
      const { sink, volume } = await open({ name: '=body.name' });
      await expect(send(sink, messageOf({ name }))).rejects.toMatchObject({
        code: 'FileNameRefused',
        instruction: 'reject',
      });
      expect(await readdir(volume.path)).toEqual(['out']);
    },
  );

  it('writes nothing through a link out of the volume', async () => {
    const volume = testVolume();
    const outside = await mkdtemp(join(tmpdir(), 'kanava-outside-'));
    onTestFinished(() => rm(outside, { recursive: true }));
    const { sink } = await open({ name: '=body.name' }, volume);
    await symlink(outside, join(volume.path, 'out/away'));
    await symlink(join(outside, 'b'), join(volume.path, 'out/b'));
    await expect(send(sink, messageOf({ name: 'away/a' }))).rejects.toMatchObject({ code: 'OutsideOfVolume' });
    await expect(send(sink, messageOf({ name: 'away/deeper/a' }))).rejects.toMatchObject({ code: 'OutsideOfVolume' });
    // The link itself is replaced, not what it leads to.
    await send(sink, messageOf({ name: 'b' }));
    expect(await readdir(outside)).toEqual([]);
  });

  it('waits for a folder where a file stands, as for other repairs', async () => {
    const { sink, volume } = await open({ name: 'a/b' });
    await writeFile(join(volume.path, 'out/a'), '');
    await expect(send(sink, messageOf(1))).rejects.toMatchObject({ instruction: 'retry', failure: 'fatal' });
  });

  it('removes what a worker left that died long ago, and nothing newer', async () => {
    const volume = testVolume();
    await mkdir(join(volume.path, 'out/.kanava'), { recursive: true });
    for (const name of ['old', 'new']) await writeFile(join(volume.path, 'out/.kanava', name), '');
    const long = Date.now() / 1000 - 25 * 3600;
    await utimes(join(volume.path, 'out/.kanava/old'), long, long);
    await open({ name: 'a' }, volume);
    expect(await readdir(join(volume.path, 'out/.kanava'))).toEqual(['new']);
  });
});
