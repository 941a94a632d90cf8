import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isInstalled, lastLines, run } from './command.ts';
import { ensureDebianPackages } from './debian.ts';
import { withLock } from './lock.ts';
import { type Progress, step, toStderr } from './progress.ts';
import { type ServerName, servers, toolsFolder, versionOf } from './servers.ts';
import { cacheFolder } from './settings.ts';

interface Options {
  onProgress?: Progress;
}

/** All built binaries, named by version. */
export const binFolder = join(cacheFolder, 'bin');

/** Where the server is, or will be once it is built. */
export const binaryPath = (name: ServerName): string => join(binFolder, `${name}-${versionOf(name)}`);

const linkerFlags = (name: ServerName): string => {
  const version = versionOf(name);
  const [major, minor] = version.slice(1).split('.');
  if (servers[name].group !== 'kubernetes') return '-s -w';
  const stamp = 'k8s.io/component-base/version';
  return `-s -w -X ${stamp}.gitVersion=${version} -X ${stamp}.gitMajor=${major} -X ${stamp}.gitMinor=${minor}`;
};

const build = async (name: ServerName, target: string): Promise<void> => {
  const server = servers[name];
  const { cgo } = server;
  const unfinished = `${target}.unfinished`;
  const { code, stdout, stderr } = await run(
    'go',
    [
      'build',
      '-trimpath',
      '-buildvcs=false',
      '-ldflags',
      linkerFlags(name),
      ...(cgo ? ['-tags', cgo.tags.join(',')] : []),
      '-o',
      unfinished,
      server.package,
    ],
    { cwd: toolsFolder(name), env: { CGO_ENABLED: cgo ? '1' : '0' }, timeout: 30 * 60_000 },
  );
  if (code !== 0) {
    await rm(unfinished, { force: true });
    throw new Error(
      `Building ${name} ${versionOf(name)} failed (go build ${server.package} in ${toolsFolder(name)}). ` +
        `Run it there by hand, or put a ready binary at ${target}. It said:\n${lastLines(stderr || stdout, 30)}`,
    );
  }
  await rename(unfinished, target);
};

/** The absolute path of a pinned server. The first call on a machine builds it; later ones cost a look at the file. */
export const ensureBinary = async (name: ServerName, { onProgress = toStderr }: Options = {}): Promise<string> => {
  const target = binaryPath(name);
  if (existsSync(target)) return target;
  const server = servers[name];
  await mkdir(binFolder, { recursive: true });
  if (!(await isInstalled('go')))
    throw new Error(
      `Go is not installed, and ${name} ${versionOf(name)} is not built yet. ` +
        `Install Go (the version in ${toolsFolder(name)}/go.mod or newer), or put a ready binary at ${target}`,
    );
  if (server.cgo) await ensureDebianPackages(server.cgo.debian, { onProgress });
  // One build at a time: Go uses every core, and groups share most of their packages.
  await withLock(join(binFolder, '.lock'), async () => {
    if (existsSync(target)) return;
    const what = `building ${name} ${versionOf(name)} (about ${server.seconds} s the first time)`;
    await step(onProgress, what, () => build(name, target));
  });
  return target;
};

export const ensureBinaries = async <Name extends ServerName>(
  names: readonly Name[],
  options: Options = {},
): Promise<Record<Name, string>> => {
  const paths: Partial<Record<Name, string>> = {};
  for (const name of names) paths[name] = await ensureBinary(name, options);
  return paths as Record<Name, string>;
};
