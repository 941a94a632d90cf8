import { execFile } from 'node:child_process';
import { statfs } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { temporaryFolder } from '../cluster/temporary.ts';
import { insistently, within } from './load.ts';
import { readOptions, report } from './report.ts';
import { startSite } from './site.ts';

const help = `npm run faults -- disk-full [OPTIONS]    the disk below NATS runs full, is enlarged, and the server starts again (root, Linux)
  --mib N     size of the disk, a tmpfs (default 48)
  --rate N    messages of 16 KiB a second (default 300)
  --json      the result as one object; progress goes to standard error`;

const command = promisify(execFile);
const bytes = 16 * 1024;
const mib = 1024 ** 2;

export const run = async (args: string[]): Promise<boolean> => {
  const options = readOptions(args, help, { mib: 48, rate: 300 });
  if (!options) return true;
  const { say } = options;
  const { mib: size, rate } = options.numbers;
  const disk = await temporaryFolder('disk');
  await command('mount', ['-t', 'tmpfs', '-o', `size=${size}m`, 'kanava-test', disk]);
  try {
    let stuck = true;
    // The later setting of a block counts. The server believes that it has more than there is.
    const site = await startSite({
      world: { jetstream: `store_dir: "${disk}"\nmax_file_store: 16G` },
      bytes,
      answer: () => (stuck ? 503 : 200),
    });
    try {
      const free = async () => {
        const { bavail, bsize } = await statfs(disk);
        return (bavail * bsize) / mib;
      };
      const seconds = Math.ceil((2 * size * mib) / bytes / rate);
      const load = site.load(seconds, rate);
      const full = await within(120_000, async () => (await free()) < 1);
      // What is sent now finds no place, and must not be acknowledged.
      await pause(5_000);
      const acceptedWhenFull = load.accepted.size;
      say(`  ${(await free()).toFixed(1)} MiB free, ${acceptedWhenFull} accepted`);
      await command('mount', ['-o', `remount,size=${16 * size}m`, disk]);
      await site.world.restart();
      stuck = false;
      say('  enlarged and restarted');
      await load.finished;
      const lost = await site.lost(load);
      const left = await insistently('asking for the inbox', () => site.stored());
      const result = {
        sent: seconds * rate,
        acceptedWhenFull,
        accepted: load.accepted.size,
        repeated: load.repeated(),
        left,
        lost,
      };
      return report(
        result,
        [
          { text: 'the disk was full', holds: full },
          {
            text: `control: the full disk refused messages (${load.repeated()})`,
            holds: load.repeated() > 0 && acceptedWhenFull < result.sent,
          },
          { text: 'all were accepted in the end', holds: result.accepted === result.sent },
          { text: 'none lost', holds: lost === 0 },
          { text: 'the same worker goes on by itself', holds: site.worker.alive() },
        ],
        options.json,
      );
    } finally {
      await site.close();
    }
  } finally {
    await command('umount', ['-l', disk]);
  }
};
