import { setTimeout as pause } from 'node:timers/promises';
import { insistently } from './load.ts';
import { inWords, isFlat, watchMemory } from './memory.ts';
import { readOptions, report, type Say } from './report.ts';
import { startSite } from './site.ts';

const help = `npm run faults -- restart [OPTIONS]    NATS is killed and stopped in turn while messages are sent
  --seconds N     of load (default 60)
  --rate N        messages a second (default 500)
  --every N       seconds between two restarts (default 10)
  --no-controls   leaves out the run with an inbox in memory
  --json          the result as one object; progress goes to standard error`;

export interface Restart {
  readonly seconds: number;
  readonly rate: number;
  readonly every: number;
  readonly storage: 'file' | 'memory';
  readonly say: Say;
}

/** A little slower than the load: something is always stored. */
const slowMs = 150;

export const runRestarts = async ({ seconds, rate, every, storage, say }: Restart) => {
  const site = await startSite({
    inbox: { storage },
    answer: (id) => (id.startsWith('m') ? new Promise((resolve) => setTimeout(() => resolve(200), slowMs)) : 200),
  });
  try {
    await site.warmUp();
    const memory = watchMemory(site.worker.pid);
    const load = site.load(seconds, rate);
    await pause(every * 500);
    let restarts = 0;
    for (let over = false; !over; ) {
      const stored = await site.stored().catch(() => -1);
      say(
        `  restart ${restarts + 1}: ${load.accepted.size} accepted, ${site.delivered.size} delivered, ${stored} stored`,
      );
      if (restarts % 2 === 0) {
        await site.world.kill();
        await site.world.start();
      } else await site.world.restart();
      await insistently('making the streams', () => site.ensureStreams());
      restarts += 1;
      over = await Promise.race([load.finished.then(() => true), pause(every * 1_000, false)]);
    }
    const use = memory.stop();
    const lost = await site.lost(load);
    return { sent: seconds * rate, accepted: load.accepted.size, repeated: load.repeated(), restarts, lost, ...use };
  } finally {
    await site.close();
  }
};

export const run = async (args: string[]): Promise<boolean> => {
  const options = readOptions(args, help, { seconds: 60, rate: 500, every: 10 });
  if (!options) return true;
  const { numbers, say } = options;
  const result = await runRestarts({ ...numbers, storage: 'file', say });
  const claims = [
    { text: `the server was restarted (${result.restarts})`, holds: result.restarts > 0 },
    { text: `publishes had to be repeated (${result.repeated})`, holds: result.repeated > 0 },
    { text: 'all were accepted in the end', holds: result.accepted === result.sent },
    { text: 'none lost', holds: result.lost === 0 },
    { text: `the worker's memory is flat: ${inWords(result)}`, holds: isFlat(result) },
  ];
  if (!options.controls) return report(result, claims, options.json);
  say('control: an inbox in memory');
  const control = await runRestarts({ seconds: 10, every: 3, rate: numbers.rate, storage: 'memory', say });
  claims.push({ text: `control: an inbox in memory loses messages (${control.lost})`, holds: control.lost > 0 });
  return report({ ...result, controlLost: control.lost }, claims, options.json);
};
