import type { BigIntStats } from 'node:fs';
import { type FileHandle, lstat, mkdir, realpath } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { type InstructionError, reject, retry } from '../errors.ts';

/*
 * Folders and files of a mounted volume. Others write there, too, and may put symbolic links: what is opened is checked to lie inside of the
 * volume, so that nobody is led to the credentials of the pod.
 */
export interface Folder {
  /** Real path of the volume. */
  readonly root: string;
  /** Real path of the folder. */
  readonly path: string;
}

/** The volume itself must be there: a folder made in its place would lose what is written to it. */
export const volumeRoot = async (volume: string): Promise<string> => {
  try {
    return await realpath(volume);
  } catch (cause) {
    throw failure(cause, `the volume ${volume} is not mounted`);
  }
};

/** Makes it if it is not there. `below` is a checked path without ways up. */
export const openFolder = async (root: string, ...below: readonly string[]): Promise<Folder> => {
  const wanted = join(root, ...below);
  try {
    // One by one, so that no link on the way makes folders somewhere else.
    let path = root;
    for (const segment of relative(root, wanted).split(sep)) {
      if (segment === '') continue;
      const next = join(path, segment);
      await mkdir(next).catch((error: unknown) => {
        if (codeOf(error) !== 'EEXIST') throw error;
      });
      path = await realpath(next);
      if (!isInside(root, path)) throw outside(wanted);
    }
    if (!(await lstat(path)).isDirectory()) throw retry('NoFolder', `${wanted} is a file, not a folder`, fatal);
    return { root, path };
  } catch (cause) {
    throw failure(cause, `the folder ${wanted} cannot be used`);
  }
};

/** That the open file is the one at `path`, and that this leads nowhere else. */
export const assertInside = async ({ root }: Folder, path: string, handle: FileHandle): Promise<void> => {
  const real = await realpath(path);
  const [there, here] = await Promise.all([lstat(real, { bigint: true }), handle.stat({ bigint: true })]);
  if (!isInside(root, real) || there.ino !== here.ino || there.dev !== here.dev) throw outside(path);
};

/** The same as long as nobody wrote to the file. */
export const versionOf = ({ mtimeNs, size }: BigIntStats): string => `${mtimeNs}+${size}`;

const isInside = (root: string, path: string): boolean => path === root || path.startsWith(root + sep);
const outside = (path: string) =>
  reject('OutsideOfVolume', `${path} leads out of the volume by a symbolic link; remove the link`);

export const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code;

const fatal = { failure: 'fatal' } as const;
/** By what the system said: which of them a repair of the volume mends, and which no time does. */
const known: Readonly<Record<string, readonly [code: string, advice: string, fatal?: typeof fatal]>> = {
  EACCES: ['FileForbidden', 'give user or group 10001 the right', fatal],
  EPERM: ['FileForbidden', 'give user or group 10001 the right', fatal],
  EROFS: ['VolumeReadOnly', 'mount the volume for writing', fatal],
  ENOENT: ['FileMissing', 'see whether the volume is mounted and the folder is there'],
  ENOTDIR: ['NoFolder', 'remove the file that stands where a folder is wanted', fatal],
  EXDEV: ['OtherVolume', 'keep the folders of one source or sink on one volume', fatal],
  ENOSPC: ['VolumeFull', 'make room on the volume'],
  EDQUOT: ['VolumeFull', 'make room on the volume'],
  ESTALE: ['VolumeAway', 'see whether its server is there'],
  EIO: ['VolumeAway', 'see whether its server is there'],
};

/** What a message's attempt, or a look at a folder, ends with. */
export const failure = (cause: unknown, what: string): InstructionError => {
  if (isInstruction(cause)) return cause;
  const code = codeOf(cause) ?? '';
  if (code === 'ENAMETOOLONG')
    return reject('FileNameRefused', `${what}: its file system takes no names that long`, { cause });
  const [name, advice, options] = known[code] ?? ['FileFailed', 'see what the system says'];
  return retry(name, `${what} (${(cause as Error).message}): ${advice}`, { cause, ...options });
};
const isInstruction = (error: unknown): error is InstructionError =>
  error instanceof Error && error.name === 'InstructionError';
