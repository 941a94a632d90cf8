import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { mustRun, run } from '../command.ts';
import { ensureDebianPackages } from '../debian.ts';
import type { Progress } from '../progress.ts';
import { cacheFolder } from '../settings.ts';
import { temporaryFolder } from '../temporary.ts';
import { type Content, copyContent } from './content.ts';

/** Builds a context folder with a Dockerfile into an archive in Docker's format. */
export interface Builder {
  name: 'docker' | 'buildah';
  build(context: string, options: { ref: string; args: string[]; archive: string; keep: boolean }): Promise<void>;
  has(ref: string): Promise<boolean>;
}

const minutes = (count: number) => ({ timeout: count * 60_000 });

const docker: Builder = {
  name: 'docker',
  build: async (context, { ref, args, archive }) => {
    await mustRun('docker', ['build', '--quiet', ...args, '--tag', ref, context], minutes(10));
    await mustRun('docker', ['save', '--output', archive, ref], minutes(5));
  },
  has: async (ref) => (await run('docker', ['image', 'inspect', ref])).code === 0,
};

const buildahStore = join(cacheFolder, 'buildah');
const store = [
  '--root',
  join(buildahStore, 'root'),
  '--runroot',
  join(buildahStore, 'run'),
  '--storage-driver',
  'overlay',
];
const buildah = (...args: string[]): string[] => [...store, ...args];

const daemonless: Builder = {
  name: 'buildah',
  build: async (context, { ref, args, archive, keep }) => {
    const options = ['--isolation', 'chroot', '--pull-never', '--quiet', ...args, '--tag', ref, context];
    await mustRun('buildah', buildah('build', ...options), minutes(10));
    await mustRun('buildah', buildah('push', '--quiet', ref, `docker-archive:${archive}:${ref}`), minutes(5));
    if (!keep) await mustRun('buildah', buildah('rmi', ref));
  },
  has: async (ref) => (await run('buildah', buildah('inspect', '--type', 'image', ref))).code === 0,
};

/** `docker` may be installed without a daemon behind it. */
export const dockerWorks = async (): Promise<boolean> =>
  (await run('docker', ['info'], { timeout: 5000 }).catch(() => ({ code: 1 }))).code === 0;

export const findBuilder = async (onProgress: Progress): Promise<Builder> => {
  if (await dockerWorks()) return docker;
  await ensureDebianPackages(['buildah'], { onProgress });
  return daemonless;
};

const archives = join(cacheFolder, 'images');

/** Builds of the same image wait for each other, in other processes too. */
export const buildLock = (name: string): string => join(archives, `.${name}.lock`);

export const archivePath = (name: string, hash: string): string => join(archives, `${name}-${hash}.tar`);

/** Archives of an image but the newest few: other clones may still want theirs. */
const outdated = async (name: string): Promise<string[]> => {
  const files = (await readdir(archives)).filter((file) => file.replace(/-[0-9a-f]{12}\.tar$/, '') === name);
  const dated = await Promise.all(
    files.map(async (file) => ({ path: join(archives, file), time: (await stat(join(archives, file))).mtimeMs })),
  );
  return dated
    .sort((a, b) => b.time - a.time)
    .slice(3)
    .map(({ path }) => path);
};

interface BuildRequest {
  name: string;
  ref: string;
  content: Content;
  args: Record<string, string>;
  archive: string;
  /** Leave the image in the builder's store: others are built on it. */
  keep: boolean;
}

/** Builds one image into its archive; what exists under that name is whole. */
export const buildArchive = async (builder: Builder, request: BuildRequest): Promise<void> => {
  const { name, ref, content, archive, keep } = request;
  await mkdir(archives, { recursive: true });
  const context = await temporaryFolder(`image-${name}`);
  const unfinished = `${archive}.unfinished`;
  try {
    await copyContent(content, context);
    const args = Object.entries(request.args).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]);
    // An existing archive would be refused.
    if (existsSync(unfinished)) await rm(unfinished);
    await builder.build(context, { ref, args, archive: unfinished, keep });
    await rename(unfinished, archive);
  } finally {
    await rm(context, { recursive: true, force: true });
    await rm(unfinished, { force: true });
  }
  for (const path of await outdated(name)) await rm(path, { force: true });
};
