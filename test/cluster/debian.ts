import { getuid } from 'node:process';
import { isInstalled, lastLines, run } from './command.ts';
import { type Progress, step, toStderr } from './progress.ts';

/** Names of those that dpkg does not know as installed. */
const missing = async (packages: string[]): Promise<string[]> => {
  const { stdout } = await run('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Abbrev}\n', ...packages]);
  const installed = new Set(
    stdout
      .split('\n')
      .filter((line) => line.includes(' ii'))
      .map((line) => line.split(' ')[0]),
  );
  return packages.filter((name) => !installed.has(name));
};

/** Installs Debian packages that are not there yet. Root on Debian or Ubuntu; elsewhere it says what to install. */
export const ensureDebianPackages = async (
  packages: string[],
  { onProgress = toStderr }: { onProgress?: Progress } = {},
): Promise<void> => {
  if (!(await isInstalled('dpkg-query'))) {
    onProgress(`not a Debian system: make sure that it has ${packages.join(', ')} (Debian's names)`);
    return;
  }
  const wanted = await missing(packages);
  if (wanted.length === 0) return;
  const command = `apt-get install ${wanted.join(' ')}`;
  if (getuid?.() !== 0) throw new Error(`These packages are missing: run \`sudo ${command}\``);
  await step(onProgress, `installing ${wanted.join(', ')}`, async () => {
    const env = { DEBIAN_FRONTEND: 'noninteractive' };
    const install = () =>
      run('apt-get', ['-o', 'DPkg::Lock::Timeout=300', 'install', '-y', '-q', '--no-install-recommends', ...wanted], {
        env,
        timeout: 10 * 60_000,
      });
    // A fresh machine has no package lists, an old one has lists that name files which are gone.
    await run('apt-get', ['update', '-q'], { env, timeout: 5 * 60_000 });
    const { code, stdout, stderr } = await install();
    if (code !== 0) throw new Error(`\`${command}\` failed with ${code}:\n${lastLines(`${stdout}\n${stderr}`, 30)}`);
  });
};
