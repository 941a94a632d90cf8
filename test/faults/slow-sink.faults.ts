import { setTimeout as pause } from 'node:timers/promises';
import type { Fault } from '../runtime/engine/broken-rules.ts';
import { inWords, isFlat, watchMemory } from './memory.ts';
import { readOptions, report, type Say } from './report.ts';
import { startSite } from './site.ts';

const help = `npm run faults -- slow-sink [OPTIONS]    a receiver that takes a second for each message, then none
  --seconds N     of slowness, after a quarter of it (at most 60 s) to warm up (default 300)
  --rate N        messages a second; the receiver takes 64 (default 100)
  --no-controls   leaves out the run with a worker that pulls without bounds
  --json          the result as one object; progress goes to standard error`;

export interface Slow {
  readonly seconds: number;
  readonly rate: number;
  readonly fault?: Fault;
  readonly say: Say;
}

const tellMs = 10_000;

export const runSlowSink = async ({ seconds, rate, fault, say }: Slow) => {
  let slow = true;
  const site = await startSite({
    bytes: 4_096,
    answer: () => (slow ? new Promise((resolve) => setTimeout(() => resolve(200), 1_000)) : 200),
    ...(fault ? { fault } : {}),
  });
  const tell = async () => {
    const stored = await site.stored().catch(() => -1);
    say(`  ${load.accepted.size} accepted, ${site.delivered.size} delivered, ${stored} stored`);
  };
  const telling = setInterval(() => void tell(), tellMs);
  const warmSeconds = Math.min(60, seconds / 4);
  const load = site.load(warmSeconds + seconds, rate);
  try {
    await pause(warmSeconds * 1_000);
    const memory = watchMemory(site.worker.pid);
    await load.finished;
    const use = memory.stop();
    const waited = await site.stored();
    say(`  the worker's memory: ${inWords(use)}; ${waited} messages wait`);
    slow = false;
    const lost = await site.lost(load);
    return { sent: Math.floor((warmSeconds + seconds) * rate), accepted: load.accepted.size, waited, lost, ...use };
  } finally {
    clearInterval(telling);
    await site.close();
  }
};

export const run = async (args: string[]): Promise<boolean> => {
  const options = readOptions(args, help, { seconds: 300, rate: 100 });
  if (!options) return true;
  const { numbers, say } = options;
  const result = await runSlowSink({ ...numbers, say });
  const claims = [
    { text: `messages waited in the inbox (${result.waited})`, holds: result.waited > result.sent / 10 },
    { text: 'all were accepted', holds: result.accepted === result.sent },
    { text: 'none lost', holds: result.lost === 0 },
    { text: `the worker's memory is flat: ${inWords(result)}`, holds: isFlat(result) },
  ];
  if (!options.controls) return report(result, claims, options.json);
  say('control: a worker that pulls without bounds');
  const control = await runSlowSink({ seconds: Math.min(40, numbers.seconds), rate: 400, fault: 'no-credit', say });
  claims.push({ text: `control: without bounds it grows: ${inWords(control)}`, holds: !isFlat(control) });
  return report({ ...result, controlHighestMib: control.highestMib }, claims, options.json);
};
