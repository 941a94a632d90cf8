import { execFile, execFileSync } from 'node:child_process';
import { appendFile, chmod, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { catalog } from '../../../runtime/catalog.ts';
import type { Accept, IntakeContext, IntakeSource } from '../../../runtime/connector.ts';
import { reject, retry } from '../../../runtime/errors.ts';
import { machinePace } from '../../../runtime/intake/pace.ts';
import type { Message } from '../../../runtime/message.ts';
import { program } from '../../programs.ts';
import { type TestVolume, testVolume } from './volume.ts';

/* The file source on a real folder: what it takes, in which order, and what it does with what it cannot take. */
const source = catalog.sources.get('file') as IntakeSource;
const quick = { connectionRef: { name: 'exchange' }, every: '5ms', stableFor: '1ms' };
const eventually = (check: () => unknown) => expect.poll(check, { timeout: 60_000, interval: 10 });

interface Started {
  readonly volume: TestVolume;
  readonly accepted: Message[];
  readonly problems: (string | undefined)[];
  /** `<code> <file>` of files that were said to be wrong. */
  readonly said: string[];
  stop(): Promise<void>;
}
const start = (
  config: Readonly<Record<string, unknown>> = {},
  { volume = testVolume(), accept, maxBytes = 1024 }: { volume?: TestVolume; accept?: Accept; maxBytes?: number } = {},
): Started => {
  const accepted: Message[] = [];
  const problems: (string | undefined)[] = [];
  const said: string[] = [];
  const shutdown = new AbortController();
  const note = ({ code, file }: { readonly code?: string; readonly file?: string }) => {
    if (file !== undefined) said.push(`${code} ${file}`);
  };
  const context: IntakeContext = {
    async accept(message) {
      const taken = (await accept?.(message)) ?? { id: message.attrs.id, duplicate: false };
      accepted.push(message);
      return taken;
    },
    maxBytes: () => maxBytes,
    source: '/acme/articles/in',
    connection: { claim: 'exchange', folder: 'in' },
    egress: { resolve: () => Promise.reject(new Error('it goes nowhere')) },
    volume: () => volume.path,
    pace: machinePace,
    trouble: (problem) => void problems.push(problem),
    secret: () => '',
    ca: () => '',
    signal: shutdown.signal,
    log: { info: () => undefined, warn: () => undefined, debug: () => undefined, error: note },
  };
  const running = source.run(source.config.parse({ ...quick, ...config }), context);
  const stop = async () => {
    shutdown.abort();
    await running;
  };
  onTestFinished(stop);
  return { volume, accepted, problems, said, stop };
};
/** Root may read everything, except without these capabilities. */
const powerless = ['setpriv', '--inh-caps=-all', '--bounding-set=-dac_override,-dac_read_search'];
const names = (messages: readonly Message[]) => messages.map(({ attrs }) => attrs['filename']);

describe('file source', { timeout: 120_000 }, () => {
  it('makes a message of each file, says which it was, and moves it', async () => {
    const { volume, accepted } = start();
    await volume.put('in/a.json', '{"no": 7}', 1_700_000_000_000);
    await eventually(() => volume.files('in/done')).toEqual(['a.json']);
    expect(accepted.map(({ attrs, body }) => ({ attrs, body: body.value() }))).toEqual([
      {
        attrs: {
          id: 'in/a.json@1700000000000000000+9',
          source: '/acme/articles/in',
          type: 'file.found',
          specversion: '1.0',
          subject: 'a.json',
          time: '2023-11-14T22:13:20.000Z',
          datacontenttype: 'application/json',
          filename: 'a.json',
          filesize: '9',
          filemodified: '2023-11-14T22:13:20.000Z',
        },
        body: { no: 7 },
      },
    ]);
  });

  it.each([
    ['Name', ['a', 'b', 'c']],
    ['Modified', ['c', 'b', 'a']],
  ])('takes them in the order %s', async (order, expected) => {
    const volume = testVolume();
    await Promise.all(['c', 'a', 'b'].map((name, index) => volume.put(`in/${name}`, name, 1_000 * (index + 1))));
    await volume.put('in/b', 'b', 2_000);
    await volume.put('in/a', 'a', 3_000);
    const { accepted } = start({ order }, { volume });
    await eventually(() => names(accepted)).toEqual(expected);
  });

  it('takes what fits a pattern, nothing hidden, and nothing of folders in it', async () => {
    const volume = testVolume();
    for (const name of ['a.csv', 'b.xml', 'c.txt', '.d.csv', 'more/e.csv']) await volume.put(`in/${name}`, name);
    const { accepted } = start({ match: ['*.csv', '*.xml'] }, { volume });
    await eventually(() => volume.files('in/done')).toEqual(['a.csv', 'b.xml']);
    expect(names(accepted)).toEqual(['a.csv', 'b.xml']);
    expect(await volume.files('in')).toEqual(['c.txt']);
  });

  it('waits until a file is whole', async () => {
    const { volume, accepted } = start({ stableFor: '150ms' });
    const file = await volume.put('in/a', '1');
    for (let part = 2; part <= 6; part += 1) {
      await new Promise((done) => setTimeout(done, 30));
      await appendFile(file, String(part));
    }
    await eventually(() => volume.files('in/done')).toEqual(['a']);
    expect(accepted.map(({ body }) => Buffer.from(body.bytes()).toString())).toEqual(['123456']);
  });

  it('sends what was written while it was sent, as another message', async () => {
    let written = false;
    const volume = testVolume();
    const { accepted } = start(
      {},
      {
        volume,
        async accept({ attrs: { id } }) {
          if (!written) await appendFile(join(volume.path, 'in/a'), ' and more');
          written = true;
          return { id, duplicate: false };
        },
      },
    );
    await volume.put('in/a', 'one');
    await eventually(() => volume.files('in/done')).toEqual(['a']);
    expect(accepted.map(({ body }) => Buffer.from(body.bytes()).toString())).toEqual(['one', 'one and more']);
    expect(new Set(accepted.map(({ attrs }) => attrs.id)).size).toBe(2);
  });

  it('keeps what is in the folder of the done already', async () => {
    const volume = testVolume();
    await volume.put('in/done/a.csv', 'yesterday');
    await volume.put('in/a.csv', 'today', 1_000_000);
    start({}, { volume });
    await eventually(() => volume.files('in/done')).toEqual(['a.1000000000000+5.csv', 'a.csv']);
    expect(await readFile(join(volume.path, 'in/done/a.csv'), 'utf8')).toBe('yesterday');
  });

  it('leaves files in their place beside a marker, and takes each once', async () => {
    const volume = testVolume();
    const { accepted, problems } = start({ done: { marker: '.taken' } }, { volume });
    await volume.put('in/a.csv', 'a');
    await eventually(() => volume.files('in')).toEqual(['a.csv', 'a.csv.taken']);
    const looks = problems.length;
    await eventually(() => problems.length).toBeGreaterThan(looks + 5);
    expect(accepted).toHaveLength(1);
    await rm(join(volume.path, 'in/a.csv.taken'));
    await eventually(() => accepted.length).toBe(2);
  });

  it('sends an empty file', async () => {
    const { volume, accepted } = start();
    await volume.put('in/nothing', '');
    await eventually(() => volume.files('in/done')).toEqual(['nothing']);
    expect(accepted[0]?.body.bytes()).toHaveLength(0);
  });

  it('puts aside what is too large, with the reason, and goes on', async () => {
    const { volume, accepted } = start({}, { maxBytes: 4 });
    await volume.put('in/a', 'much too large');
    await volume.put('in/b', 'b');
    await eventually(() => volume.files('in/done')).toEqual(['b']);
    expect(await volume.files('in/failed')).toEqual(['a', 'a.error']);
    expect(await readFile(join(volume.path, 'in/failed/a.error'), 'utf8')).toMatch(
      /^MessageTooLarge: .* 14 bytes; 4 fit/,
    );
    expect(names(accepted)).toEqual(['b']);
  });

  it('puts aside what the inbox never takes', async () => {
    const accept: Accept = () => Promise.reject(reject('KeyMissing', 'there is no body.no'));
    const { volume } = start({}, { accept });
    await volume.put('in/a', 'a');
    await eventually(() => volume.files('in/failed')).toEqual(['a', 'a.error']);
  });

  it('waits while the inbox is full, says so, and begins again with the same file and id', async () => {
    let full = true;
    const tried: string[] = [];
    const volume = testVolume();
    await volume.put('in/a', 'a');
    await volume.put('in/b', 'b');
    const { accepted, problems } = start(
      {},
      {
        volume,
        async accept({ attrs: { id } }) {
          tried.push(id);
          if (full) throw retry('InboxFull', 'the inbox is full');
          return { id, duplicate: false };
        },
      },
    );
    await eventually(() => tried.length).toBeGreaterThan(2);
    expect(problems).toContain('the inbox is full');
    expect(new Set(tried).size).toBe(1);
    expect(await volume.files('in')).toEqual(['a', 'b']);
    full = false;
    await eventually(() => volume.files('in/done')).toEqual(['a', 'b']);
    expect(names(accepted)).toEqual(['a', 'b']);
    // Said at the end of the look that put them away.
    await eventually(() => problems.at(-1)).toBeUndefined();
  });

  it('leaves links, pipes and names that are no text where they are', async () => {
    const volume = testVolume();
    const outside = await mkdtemp(join(tmpdir(), 'kanava-outside-'));
    onTestFinished(() => rm(outside, { recursive: true }));
    await writeFile(join(outside, 'creds'), 'secret');
    await mkdir(join(volume.path, 'in'));
    await symlink(join(outside, 'creds'), join(volume.path, 'in/link'));
    execFileSync('mkfifo', [join(volume.path, 'in/pipe')]);
    await writeFile(Buffer.concat([Buffer.from(`${volume.path}/in/`), Buffer.from([0x61, 0xff])]), 'a');
    await volume.put(`in/${'n'.repeat(201)}`, 'n');
    await volume.put('in/z', 'z');
    const { accepted, said } = start({}, { volume });
    await eventually(() => volume.files('in/done')).toEqual(['z']);
    expect(names(accepted)).toEqual(['z']);
    expect(said.toSorted()).toEqual([`FileNameRefused ${'n'.repeat(201)}`, 'FileNameRefused a\ufffd'].toSorted());
  });

  it('takes nothing through a folder that is a link out of the volume', async () => {
    const volume = testVolume();
    const outside = await mkdtemp(join(tmpdir(), 'kanava-outside-'));
    onTestFinished(() => rm(outside, { recursive: true }));
    await writeFile(join(outside, 'creds'), 'secret');
    await symlink(outside, join(volume.path, 'in'));
    const { accepted, problems } = start({}, { volume });
    await eventually(() => problems.at(-1) ?? '').toMatch(/leads out of the volume by a symbolic link/);
    expect(accepted).toEqual([]);
    await rm(join(volume.path, 'in'));
    await volume.put('in/a', 'a');
    await eventually(() => names(accepted)).toEqual(['a']);
  });

  it('goes on when a file is gone, or the volume for a while', async () => {
    const volume = testVolume();
    const { accepted, problems } = start({}, { volume });
    await eventually(() => problems.length).toBeGreaterThan(1);
    await rename(volume.path, `${volume.path}.away`);
    await eventually(() => problems.at(-1) ?? '').toMatch(/is not mounted/);
    await rename(`${volume.path}.away`, volume.path);
    const file = await volume.put('in/a', 'a');
    await rm(file);
    await volume.put('in/b', 'b');
    await eventually(() => names(accepted).at(-1)).toBe('b');
    expect(problems.at(-1)).toBeUndefined();
  });

  it('says what it may not read, and takes the others', async () => {
    const volume = testVolume();
    await chmod(await volume.put('a', 'a'), 0);
    await volume.put('b', 'b');
    const reading = [process.execPath, program('test/runtime/connectors/forbidden-file.ts'), volume.path];
    const [file = '', ...args] = process.getuid?.() === 0 ? [...powerless, ...reading] : reading;
    const { stdout } = await promisify(execFile)(file, args);
    expect(JSON.parse(stdout)).toEqual({ accepted: ['b'], said: ['FileForbidden a'] });
    expect(await volume.files()).toEqual(['a']);
  });

  it('sends nothing that it could not put away', async () => {
    const volume = testVolume();
    await volume.put('in/a', 'a');
    await volume.put('in/done', 'a file where a folder is wanted');
    const { accepted, problems } = start({ match: ['a'] }, { volume });
    await eventually(() => problems.at(-1) ?? '').toMatch(/is a file, not a folder/);
    expect(accepted).toEqual([]);
    await rm(join(volume.path, 'in/done'));
    await eventually(() => names(accepted)).toEqual(['a']);
  });

  it('finishes the file that it has in hand, and ends', async () => {
    const held = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const volume = testVolume();
    await volume.put('in/a', 'a');
    await volume.put('in/b', 'b');
    const { accepted, stop } = start(
      {},
      {
        volume,
        async accept({ attrs: { id } }) {
          asked.resolve();
          await held.promise;
          return { id, duplicate: false };
        },
      },
    );
    await asked.promise;
    const stopped = stop();
    held.resolve();
    await stopped;
    expect(names(accepted)).toEqual(['a']);
    expect(await volume.files('in/done')).toEqual(['a']);
    expect(await volume.files('in')).toEqual(['b']);
  });
});
