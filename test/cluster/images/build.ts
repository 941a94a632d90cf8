import { existsSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { bundle, images } from '../../../build.ts';
import { ensureBinary } from '../binaries.ts';
import { mustRun } from '../command.ts';
import { ensureDebianPackages } from '../debian.ts';
import { withLock } from '../lock.ts';
import { type Progress, step, toStderr } from '../progress.ts';
import { versionOf } from '../servers.ts';
import { cacheFolder, repositoryRoot } from '../settings.ts';
import { baseContent } from './base.ts';
import { archivePath, type Builder, buildArchive, buildLock, findBuilder } from './builder.ts';
import { type Content, contentHash } from './content.ts';

export interface Image {
  ref: string;
  /** Changes with the content, also where the tag is a version. */
  hash: string;
  /** The image in Docker's archive format. */
  archive: string;
}

/** Value of a Dockerfile's BASE argument, and how to make sure that the builder has it. */
interface Base {
  ref: string;
  ensure: () => Promise<void>;
}

export interface BuildOptions {
  /** Name in the build context -> file or folder. The Dockerfile is images/<name>/Dockerfile. */
  files: Content;
  repository: string;
  /** Default: the hash of the content, so that a Deployment rolls when it changes. */
  tag?: string;
  base?: Base;
  onProgress?: Progress;
  builder?: Builder;
}

/** Builds images/<name> when its content is new on this machine. */
export const buildImage = async (name: string, options: BuildOptions): Promise<Image> => {
  const { files, repository, base, onProgress = toStderr } = options;
  const content = { ...files, Dockerfile: join(repositoryRoot, 'images', name, 'Dockerfile') };
  const hash = await contentHash(content, base ? [base.ref] : []);
  const ref = `${repository}:${options.tag ?? hash}`;
  const archive = archivePath(name, hash);
  if (existsSync(archive)) return { ref, hash, archive };
  const builder = options.builder ?? (await findBuilder(onProgress));
  const args: Record<string, string> = base ? { BASE: base.ref } : {};
  await base?.ensure();
  await withLock(buildLock(name), async () => {
    if (existsSync(archive)) return;
    await step(onProgress, `building image ${ref} with ${builder.name}`, () =>
      buildArchive(builder, { name, ref, content, args, archive, keep: name === 'base' }),
    );
  });
  return { ref, hash, archive };
};

const pause = async (onProgress: Progress): Promise<Image> => {
  const folder = join(cacheFolder, 'bin');
  const source = join(repositoryRoot, 'images/pause/pause.c');
  const binary = join(folder, `pause-${await contentHash({ source }, [])}`);
  if (!existsSync(binary)) {
    await mkdir(folder, { recursive: true });
    await ensureDebianPackages(['gcc', 'libc6-dev'], { onProgress });
    await mustRun('gcc', ['-Os', '-static', '-s', '-o', binary, source]);
  }
  return buildImage('pause', { repository: 'docker.io/kanava/pause', tag: '1', files: { pause: binary }, onProgress });
};

const coredns = async (onProgress: Progress): Promise<Image> =>
  buildImage('coredns', {
    repository: 'docker.io/coredns/coredns',
    tag: versionOf('coredns').slice(1),
    files: { coredns: await ensureBinary('coredns', { onProgress }) },
    onProgress,
  });

const zoneinfo = '/usr/share/zoneinfo';
/** Zones and regions begin with a capital; beside them lie the same in other forms. */
const timeZones = async (onProgress: Progress): Promise<Content> => {
  await ensureDebianPackages(['tzdata'], { onProgress });
  const names = (await readdir(zoneinfo)).filter((name) => /^[A-Z]/.test(name));
  return Object.fromEntries(names.map((name) => [`zoneinfo/${name}`, join(zoneinfo, name)]));
};

/** With time zones, as the official image of this name has them: schedules need them. */
export const natsImage = async (onProgress: Progress): Promise<Image> =>
  buildImage('nats', {
    repository: 'docker.io/library/nats',
    tag: `${versionOf('nats-server').slice(1)}-alpine`,
    files: { 'nats-server': await ensureBinary('nats-server', { onProgress }), ...(await timeZones(onProgress)) },
    onProgress,
  });

/** What the node itself needs to run a pod and to resolve names. */
export const systemImages = async (onProgress: Progress) => ({
  pause: await pause(onProgress),
  coredns: await coredns(onProgress),
});

/** The base of our own images; nothing with Docker, where the Dockerfiles' own default is used. */
const findBase = async (builder: Builder, onProgress: Progress): Promise<Base | undefined> => {
  if (builder.name === 'docker') return undefined;
  const files = await baseContent(onProgress);
  const repository = 'docker.io/kanava/base';
  const { ref, archive } = await buildImage('base', { repository, files, onProgress, builder });
  const repair = async () => {
    if (await builder.has(ref)) return;
    await rm(archive);
    await buildImage('base', { repository, files, onProgress, builder });
  };
  let repaired: Promise<void> | undefined;
  return {
    ref,
    ensure: () => {
      repaired ??= repair();
      return repaired;
    },
  };
};

/** Every image that the charts and the demo use, by name. Bundles are made anew, so that what is tested is what is here. */
export const projectImages = async (onProgress: Progress): Promise<Record<string, Image>> => {
  const builder = await findBuilder(onProgress);
  const base = await findBase(builder, onProgress);
  const built = await Promise.all(
    images.map(async (name) => {
      const files = { app: await bundle(name) };
      const options = { repository: `docker.io/kanava/${name}`, files, onProgress, builder, ...(base ? { base } : {}) };
      return [name, await buildImage(name, options)] as const;
    }),
  );
  return { ...Object.fromEntries(built), nats: await natsImage(onProgress) };
};
