import { setTimeout as pause } from 'node:timers/promises';
import { within } from './load.ts';
import { inWords, isFlat, isNoMore, watchMemory } from './memory.ts';
import { readOptions, report } from './report.ts';
import { startSite } from './site.ts';

const help = `npm run faults -- credentials [OPTIONS]    credentials that are renewed in time, that expire, and that come back
  --seconds N   of load: renewed every 5 s, expired and then empty for the middle third, renewed (default 60)
  --rate N      messages a second (default 500)
  --json        the result as one object; progress goes to standard error`;

const lifetimeMs = 10_000;
const renewEveryMs = 5_000;
const day = 24 * 3_600_000;

export const run = async (args: string[]): Promise<boolean> => {
  const options = readOptions(args, help, { seconds: 60, rate: 500 });
  if (!options) return true;
  const { say } = options;
  const { seconds, rate } = options.numbers;
  const site = await startSite();
  const earlier = watchMemory(site.worker.pid);
  try {
    await site.warmUp();
    await site.renew(lifetimeMs);
    // Both log in anew with what is in their folders.
    await site.world.restart();
    const warm = site.delivered.size;
    const load = site.load(seconds, rate);
    const third = (seconds * 1_000) / 3;
    for (let waited = 0; waited < third; waited += renewEveryMs) {
      await pause(renewEveryMs);
      await site.renew(lifetimeMs);
      say(`  renewed: ${load.accepted.size} accepted, ${site.delivered.size} delivered`);
    }
    const before = earlier.stop();
    const memory = watchMemory(site.worker.pid);
    const movedWhileRenewed = site.delivered.size - warm;
    await pause(lifetimeMs + 2_000);
    const counts = [load.accepted.size, site.delivered.size] as const;
    await pause(Math.max(third - lifetimeMs, 5_000));
    await site.spoil();
    await pause(2_000);
    const movedWhileExpired = load.accepted.size - counts[0] + site.delivered.size - counts[1];
    say(`  expired: ${load.accepted.size} accepted, ${site.delivered.size} delivered`);
    await site.renew(day);
    const recovered = await within(60_000, () => site.delivered.size > counts[1]);
    await load.finished;
    const use = memory.stop();
    const lost = await site.lost(load);
    const result = {
      sent: seconds * rate,
      accepted: load.accepted.size,
      movedWhileRenewed,
      movedWhileExpired,
      lost,
      highestMibBefore: before.highestMib,
      ...use,
    };
    return report(
      result,
      [
        { text: 'with renewed credentials messages flow', holds: movedWhileRenewed > 0 },
        { text: 'control: with expired ones nothing does', holds: movedWhileExpired === 0 },
        { text: 'renewed again, the same worker goes on by itself', holds: recovered && site.worker.alive() },
        { text: 'all were accepted in the end', holds: result.accepted === result.sent },
        { text: 'none lost', holds: lost === 0 },
        { text: `the worker's memory is flat: ${inWords(use)}`, holds: isFlat(use) },
        {
          text: `the worker's memory is at most 10 % above its most before (${before.highestMib.toFixed(1)} MiB): ${inWords(use)}`,
          holds: isNoMore(use, before),
        },
      ],
      options.json,
    );
  } finally {
    await site.close();
  }
};
