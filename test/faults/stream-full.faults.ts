import { within } from './load.ts';
import { readOptions, report, type Say } from './report.ts';
import { startSite } from './site.ts';

const help = `npm run faults -- stream-full [OPTIONS]    an inbox and a dead letter stream that are full
  --seconds N     of load (default 20)
  --rate N        messages a second (default 500)
  --no-controls   leaves out the run in which a full inbox drops what is old
  --json          the result as one object; progress goes to standard error`;

/** Of 1 KiB messages some 400, and twenty dead letters: both are full after a second. */
const inboxBytes = 512 * 1024;
const deadLetterBytes = 32 * 1024;
const rejectedEvery = 50;
/** What a worker has at most: dropped from the inbox, it is delivered all the same. */
const mostHeld = 256;

export interface Full {
  readonly seconds: number;
  readonly rate: number;
  readonly discard: 'new' | 'old';
  readonly say: Say;
}

export const runFull = async ({ seconds, rate, discard, say }: Full) => {
  let stuck = true;
  const answer = (id: string) => {
    if (Number(id.slice(1)) % rejectedEvery === 3) return 400;
    return stuck ? new Promise<number>((resolve) => setTimeout(() => resolve(200), 1_000)) : 200;
  };
  const site = await startSite({
    inbox: { maxBytes: inboxBytes, discard },
    deadLetters: { maxBytes: deadLetterBytes },
    answer,
  });
  try {
    const load = site.load(seconds, rate);
    // The sink takes 64 a second at most: the rest must wait with the sender, or is dropped where that is so.
    const droppedSome = async () => {
      const accepted = load.accepted.size;
      const kept = (await site.stored()) + (await site.stored('dlq_orders'));
      return accepted - kept - site.delivered.size > mostHeld;
    };
    await within(120_000, discard === 'old' ? droppedSome : async () => load.repeated() > 0);
    say(
      `  a slow sink: ${load.accepted.size} accepted, ${site.delivered.size} delivered, ${await site.stored()} stored`,
    );
    stuck = false;
    await load.finished;
    say(`  all ${load.accepted.size} accepted, ${load.repeated()} of them at a later try`);
    // What is left are those whose dead letter finds no place.
    await within(
      60_000,
      async () => (await site.stored()) + (await site.stored('dlq_orders')) <= rejectedOf(seconds * rate),
    );
    const kept = await site.stored();
    await site.manager.streams.update('dlq_orders', { max_bytes: 64 * 1024 ** 2 });
    const lost = await site.lost(load);
    return {
      sent: seconds * rate,
      accepted: load.accepted.size,
      refusedAtFirst: load.repeated(),
      keptWhileDeadLettersFull: kept,
      deadLetters: await site.stored('dlq_orders'),
      lost,
    };
  } finally {
    await site.close();
  }
};

const rejectedOf = (sent: number) => Math.ceil((sent - 3) / rejectedEvery);

export const run = async (args: string[]): Promise<boolean> => {
  const options = readOptions(args, help, { seconds: 20, rate: 500 });
  if (!options) return true;
  const { numbers, say } = options;
  const result = await runFull({ ...numbers, discard: 'new', say });
  const rejected = rejectedOf(result.sent);
  const claims = [
    { text: `the full inbox refused (${result.refusedAtFirst})`, holds: result.refusedAtFirst > 0 },
    { text: 'all were accepted in the end', holds: result.accepted === result.sent },
    {
      text: `messages whose dead letter was refused were kept (${result.keptWhileDeadLettersFull})`,
      holds: result.keptWhileDeadLettersFull > 0,
    },
    { text: 'none lost', holds: result.lost === 0 },
    { text: `all rejected ones are dead letters (${rejected})`, holds: result.deadLetters === rejected },
  ];
  if (!options.controls) return report(result, claims, options.json);
  say('control: a full inbox drops what is old');
  const control = await runFull({ seconds: Math.min(numbers.seconds, 10), rate: numbers.rate, discard: 'old', say });
  claims.push({
    text: `control: where a full inbox drops, messages are lost (${control.lost})`,
    holds: control.lost > 0,
  });
  return report({ ...result, controlLost: control.lost }, claims, options.json);
};
