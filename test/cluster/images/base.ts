import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { mustRun } from '../command.ts';
import { ensureDebianPackages } from '../debian.ts';
import { type Progress, step } from '../progress.ts';
import { cacheFolder, repositoryRoot } from '../settings.ts';
import type { Content } from './content.ts';

// libatomic1: the node binary of the npm package is linked against it.
const packages = ['base-files', 'libatomic1', 'libc6', 'libgcc-s1', 'libstdc++6', 'netbase', 'tzdata'];
const suite = 'bookworm';

const caCertificates = '/etc/ssl/certs/ca-certificates.crt';

/** The files of the base image: unpacked Debian packages, the Node that the repository pins, the machine's trusted CAs. */
export const baseContent = async (onProgress: Progress): Promise<Content> => {
  const folder = join(cacheFolder, 'images');
  const root = join(folder, `root-${suite}.tar`);
  await ensureDebianPackages(['mmdebstrap', 'ca-certificates'], { onProgress });
  if (!existsSync(root)) {
    await mkdir(folder, { recursive: true });
    const unfinished = join(folder, `.root-${process.pid}.tar`);
    await step(onProgress, 'unpacking Debian packages for the base image', () =>
      mustRun('mmdebstrap', ['--variant=extract', `--include=${packages.join(',')}`, suite, unfinished], {
        timeout: 5 * 60_000,
      }),
    );
    await rename(unfinished, root);
  }
  return {
    'root.tar': root,
    node: join(repositoryRoot, 'node_modules/node/bin/node'),
    'ca-certificates.crt': caCertificates,
  };
};
