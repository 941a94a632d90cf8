import { type BigIntStats, constants } from 'node:fs';
import { access, type FileHandle, lstat, open, rename, writeFile } from 'node:fs/promises';
import { extname, join, relative } from 'node:path';
import type { IntakeContext } from '../connector.ts';
import { InstructionError, reasonOf, reject, retry } from '../errors.ts';
import { Body, type Message } from '../message.ts';
import type { FileSource } from './file.ts';
import { assertInside, codeOf, type Folder, failure, openFolder, versionOf, volumeRoot } from './file-volume.ts';

/*
 * One file on its way: read, accepted, put away. It is put away only after the inbox has it, so a crash in between leaves it in its place,
 * to be sent again with the same id.
 */
export interface Places {
  readonly in: Folder;
  readonly failed: Folder;
  /** Absent where files stay and get a marker. */
  readonly done: Folder | undefined;
  readonly marker: string | undefined;
}
export interface Found {
  readonly name: string;
  readonly stats: BigIntStats;
  readonly version: string;
}

/** Rejects when files could be taken and not be put away: each would be sent for ever. */
export const openPlaces = async (config: FileSource, volume: string, folder: string): Promise<Places> => {
  const root = await volumeRoot(volume);
  const base = [folder, config.folder ?? ''] as const;
  const marker = config.done?.marker;
  const places: Places = {
    in: await openFolder(root, ...base),
    failed: await openFolder(root, ...base, config.failedFolder ?? 'failed'),
    done: marker === undefined ? await openFolder(root, ...base, config.done?.folder ?? 'done') : undefined,
    marker,
  };
  for (const place of [places.in, places.failed, places.done]) {
    if (!place) continue;
    await access(place.path, constants.W_OK | constants.X_OK).catch((cause: unknown) => {
      throw failure(cause, `files cannot be put away in ${place.path}`);
    });
  }
  return places;
};

/** `accepted`: it may be put away. `passed over`: it is another file by now, or none, or no message and put away as failed. */
export const take = async (
  config: FileSource,
  context: IntakeContext,
  places: Places,
  found: Found,
): Promise<'accepted' | 'passed over'> => {
  const path = join(places.in.path, found.name);
  let handle: FileHandle | undefined;
  try {
    // Neither through a link that was put in its place, nor waiting for the other end of a pipe.
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stats = await handle.stat({ bigint: true });
    if (!stats.isFile() || versionOf(stats) !== found.version) return 'passed over';
    await assertInside(places.in, path, handle);
    const { largeBodies } = context;
    const most = Math.max(context.maxBytes(), largeBodies?.largest ?? 0);
    if (stats.size > BigInt(most)) throw reject('MessageTooLarge', `it has ${stats.size} bytes; ${most} fit`);
    const body =
      largeBodies && stats.size > BigInt(largeBodies.above) ? largeBody(handle, found) : await smallBody(handle, found);
    if (!body) return 'passed over';
    await context.accept(messageOf(config, context.source, places, found, body));
    return 'accepted';
  } catch (error) {
    if (error instanceof InstructionError && error.code === 'FileChanged') return 'passed over';
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ELOOP') return 'passed over';
    const refused = failure(error, `${found.name} cannot be read`);
    if (!isNoMessage(refused)) throw refused;
    await setAside(places, found, refused);
    context.log.error(
      { source: context.source, file: found.name, code: refused.code, reason: refused.message },
      'a file is no message',
    );
    return 'passed over';
  } finally {
    await handle?.close();
  }
};

/** The inbox never takes it, however often it comes. */
const isNoMessage = ({ instruction, code }: InstructionError): boolean =>
  instruction === 'reject' && code !== 'OutsideOfVolume';

const smallBody = async (handle: FileHandle, { stats, version }: Found): Promise<Body | undefined> => {
  const content = await contentOf(handle, Number(stats.size));
  return content && versionOf(await handle.stat({ bigint: true })) === version ? Body.fromBytes(content) : undefined;
};

const pieceBytes = 256 * 1024;
/** Whether it stayed what it was is known at its end, before the message counts. */
const largeBody = (handle: FileHandle, { name, stats, version }: Found): Body =>
  Body.inPieces({
    bytes: Number(stats.size),
    async *read() {
      const changed = retry('FileChanged', `${name} is being written to`);
      let at = 0;
      for (;;) {
        const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(pieceBytes), 0, pieceBytes, at);
        if (bytesRead === 0) break;
        at += bytesRead;
        if (at > Number(stats.size)) throw changed;
        yield buffer.subarray(0, bytesRead);
      }
      if (at !== Number(stats.size) || versionOf(await handle.stat({ bigint: true })) !== version) throw changed;
    },
  });

/** `undefined` when it is longer or shorter than it was. */
const contentOf = async (handle: FileHandle, size: number): Promise<Uint8Array | undefined> => {
  const buffer = Buffer.allocUnsafe(size + 1);
  let length = 0;
  while (length <= size) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return length === size ? buffer.subarray(0, size) : undefined;
};

const messageOf = (
  config: FileSource,
  source: string,
  places: Places,
  { name, stats, version }: Found,
  body: Body,
): Message => {
  const modified = stats.mtime.toISOString();
  return {
    attrs: {
      id: `${relative(places.in.root, join(places.in.path, name))}@${version}`,
      source,
      type: config.type ?? 'file.found',
      specversion: '1.0',
      subject: name,
      time: modified,
      datacontenttype: config.contentType ?? contentTypes[extname(name).toLowerCase()] ?? 'application/octet-stream',
      filename: name,
      filesize: String(stats.size),
      filemodified: modified,
    },
    headers: {},
    body,
  };
};
const contentTypes: Readonly<Record<string, string>> = {
  '.csv': 'text/csv',
  '.edi': 'application/EDIFACT',
  '.html': 'text/html',
  '.json': 'application/json',
  '.jsonl': 'application/jsonl',
  '.pdf': 'application/pdf',
  '.txt': 'text/plain',
  '.xml': 'application/xml',
  '.yaml': 'application/yaml',
  '.zip': 'application/zip',
};

/** What was accepted. A file that was written to meanwhile, or another one of that name, stays: it is another message. */
export const putAway = async (places: Places, found: Found): Promise<void> => {
  const path = join(places.in.path, found.name);
  try {
    if (places.done) await move(path, places.done, found);
    else if ((await versionAt(path)) === found.version)
      await writeFile(path + (places.marker ?? ''), '', { flag: constants.O_WRONLY | constants.O_CREAT });
  } catch (cause) {
    throw failure(cause, `${found.name} was sent and cannot be put away`);
  }
};

/** What is no message, with the reason beside it. */
const setAside = async (places: Places, found: Found, reason: InstructionError): Promise<void> => {
  try {
    const target = await move(join(places.in.path, found.name), places.failed, found);
    if (target !== undefined) await writeFile(`${target}.error`, `${reason.code}: ${reasonOf(reason)}\n`);
  } catch (cause) {
    throw failure(cause, `${found.name} cannot be put away as failed`);
  }
};

const move = async (path: string, to: Folder, { name, version }: Found): Promise<string | undefined> => {
  if ((await versionAt(path)) !== version) return undefined;
  const target = await freeName(to, name, version);
  await rename(path, target).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error;
  });
  const moved = await versionAt(target);
  if (moved === version) return target;
  // Between the look and the move somebody wrote: back with it, it is another message. By now there may be a third one in its place.
  if (moved !== undefined) await rename(target, (await versionAt(path)) === undefined ? path : besides(path, moved));
  return undefined;
};
const besides = (path: string, version: string): string => {
  const ending = extname(path);
  return `${path.slice(0, path.length - ending.length)}.${version}${ending}`;
};

/** An earlier file of the same name is kept. */
const freeName = async ({ path }: Folder, name: string, version: string): Promise<string> => {
  const plain = join(path, name);
  return (await versionAt(plain)) === undefined ? plain : besides(plain, version);
};

const versionAt = async (path: string): Promise<string | undefined> => {
  try {
    return versionOf(await lstat(path, { bigint: true }));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
};
