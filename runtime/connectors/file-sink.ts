import { createHash, hash, randomUUID } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { link, lstat, open, readdir, rename, unlink } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import type { OpenSink, SinkContext } from '../connector.ts';
import { reject } from '../errors.ts';
import { compileTree } from '../expr/tree.ts';
import type { Message } from '../message.ts';
import { unlessAborted } from '../waiting.ts';
import type { FileConnection, FileSink } from './file.ts';
import { checkedPath } from './file-names.ts';
import { assertInside, codeOf, type Folder, failure, openFolder, volumeRoot } from './file-volume.ts';

/*
 * Writes a file whole or not at all: under a hidden name, on the disk, and only then under its own. Who reads the folder never sees a part,
 * and a worker that dies leaves at most a hidden file.
 */
const draftFolder = '.kanava';
/** No attempt takes that long: what is older was left by a worker that died. */
const leftAfterMs = 24 * 3_600_000;

export const fileWriter = async (config: FileSink, context: SinkContext): Promise<OpenSink> => {
  const { claim, folder: base = '' } = context.connection as FileConnection;
  const name = compileTree(config.name);
  const volume = context.volume(claim);
  const ifExists = config.ifExists ?? 'Replace';

  const write = async (message: Message, path: string): Promise<void> => {
    const root = await volumeRoot(volume);
    const folder = await openFolder(root, base, config.folder ?? '', dirname(path));
    const drafts = await openFolder(root, base, draftFolder);
    const draft = join(drafts.path, randomUUID());
    try {
      await writeDraft(drafts, draft, message.body.large?.read() ?? message.body.bytes());
      await put(draft, join(folder.path, lastOf(path)), message);
      await flush(folder.path);
    } catch (cause) {
      await unlink(draft).catch(() => undefined);
      throw failure(cause, `${path} cannot be written`);
    }
  };

  const put = async (draft: string, target: string, message: Message): Promise<void> => {
    if (ifExists === 'Replace') return rename(draft, target);
    if (await putNew(draft, target)) return undefined;
    // What was written is at hand, whatever its size.
    if (await sameContent(target, draft)) return unlink(draft);
    if (ifExists === 'Reject')
      throw reject('FileExists', `${target} is there, with other content; remove it, or set file.ifExists`);
    return rename(draft, renamed(target, message));
  };

  await clearDrafts(volume, base).catch((error: unknown) => {
    context.log.warn({ reason: (error as Error).message }, 'drafts that were left are not removed');
  });
  return {
    async send(message, attempt) {
      const path = checkedPath(name.evaluate(context.scope(message, attempt)));
      // A network's file system may never answer.
      await unlessAborted(write(message, path), attempt.signal);
    },
  };
};

const lastOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** The same for the same message, whenever it is written. */
const renamed = (target: string, { attrs }: Message): string => {
  const ending = extname(target);
  const mark = hash('sha256', `${attrs.source.length}:${attrs.source}${attrs.id}`, 'base64url').slice(0, 12);
  return `${target.slice(0, target.length - ending.length)}-${mark}${ending}`;
};

const writeDraft = async (
  folder: Folder,
  path: string,
  content: Uint8Array | AsyncIterable<Uint8Array>,
): Promise<void> => {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const handle = await open(path, flags, 0o664);
  try {
    await assertInside(folder, path, handle);
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
};

/** False when there is a file of that name. */
const putNew = async (draft: string, target: string): Promise<boolean> => {
  try {
    // Unlike renaming it replaces nothing, however many write at once.
    await link(draft, target);
    await unlink(draft);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    if (!linkless.has(codeOf(error) ?? '')) throw error;
  }
  // Some file systems (SMB) have no links: there two writers of one name at one moment are not told apart.
  if (await exists(target)) return false;
  await rename(draft, target);
  return true;
};
const linkless = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    (error: unknown) => {
      if (codeOf(error) === 'ENOENT') return false;
      throw error;
    },
  );

const sameContent = async (path: string, other: string): Promise<boolean> => {
  const [stats, wanted] = await Promise.all([lstat(path), lstat(other)]);
  if (!stats.isFile() || stats.size !== wanted.size) return false;
  const [one, two] = await Promise.all([digestOf(path), digestOf(other)]);
  return one === two;
};

const digestOf = async (path: string): Promise<string> => {
  const digest = createHash('sha256');
  for await (const piece of createReadStream(path)) digest.update(piece as Buffer);
  return digest.digest('hex');
};

/** The name itself has to reach the disk. Some file systems do so by themselves, and refuse to be asked. */
const flush = async (folder: string): Promise<void> => {
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } catch (error) {
    if (codeOf(error) !== 'EINVAL' && !linkless.has(codeOf(error) ?? '')) throw error;
  } finally {
    await handle.close();
  }
};

const clearDrafts = async (volume: string, base: string): Promise<void> => {
  const { path } = await openFolder(await volumeRoot(volume), base, draftFolder);
  for (const name of await readdir(path)) {
    const draft = join(path, name);
    if (Date.now() - (await lstat(draft)).mtimeMs > leftAfterMs) await unlink(draft);
  }
};
