import { parseArgs } from 'node:util';
import { type KillResult, type KillRun, runKills } from './kill-run.ts';
import { type Claim, lines, report, type Say, sayer, whole } from './report.ts';

const help = `npm run faults -- engine [OPTIONS]    kills workers at every point of a message and counts what became of the messages
  --kills N       workers killed, 8 points in turn (default 1000)
  --messages N    messages sent (default 100 for each kill)
  --ack-wait S    seconds until the broker delivers again what a dead worker held (default 30, as in production)
  --workers N     workers at the same time (default 4)
  --seed N        of the kills (default 1)
  --no-controls   leaves out the runs in which a protection is off
  --json          the result as one object; progress goes to standard error`;

export const run = async (args: string[]): Promise<boolean> => {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', short: 'h' },
      kills: { type: 'string', default: '1000' },
      messages: { type: 'string' },
      'ack-wait': { type: 'string', default: '30' },
      workers: { type: 'string', default: '4' },
      seed: { type: 'string', default: '1' },
      'no-controls': { type: 'boolean' },
      json: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(help);
    return true;
  }
  const say = sayer(values.json);
  const kills = whole('--kills', values.kills);
  const options: KillRun = {
    kills,
    messages: values.messages === undefined ? 100 * kills : whole('--messages', values.messages),
    ackWaitMs: 1000 * whole('--ack-wait', values['ack-wait']),
    concurrency: 64,
    workers: whole('--workers', values.workers),
    seed: whole('--seed', values.seed),
    progress: (text) => say(`  ${text}`),
  };
  say(`${options.kills} kills, ${options.messages} messages, seed ${options.seed}`);
  const result = await runKills(options);
  // The controls take their time.
  for (const line of lines({ ...result })) say(line);
  const found = values['no-controls'] ? undefined : await controls(options.seed, say);
  const numbers = values.json ? { ...result, ...found?.numbers } : { ...found?.numbers };
  return report(numbers, [...promises(options, result), ...(found?.claims ?? [])], values.json);
};

const promises = ({ kills, messages }: KillRun, result: KillResult): Claim[] => [
  { text: `all ${kills} workers died, at every point`, holds: sumOf(result.killed) === kills },
  { text: `all messages were sent (${result.sent})`, holds: result.sent >= messages },
  { text: 'messages were delivered again', holds: result.redelivered > 0 },
  { text: 'none lost', holds: result.lost === 0 && result.deadLettersMissing === 0 },
  { text: 'none with a changed id or body', holds: result.changed === 0 },
  { text: 'no innocent among the dead letters', holds: result.innocents === 0 },
  {
    text: `duplicates (${result.duplicates}) at most the messages in work at the kills (${result.inFlightAtKills})`,
    holds: result.duplicates <= result.inFlightAtKills,
  },
  { text: 'none twice where the sink passes the id on', holds: result.duplicatesWithId === 0 },
  { text: 'control: without the id the same run has duplicates', holds: result.duplicates > 0 },
];

/** Short AckWait: these must lose, and need not take long. */
const controls = async (seed: number, say: Say) => {
  const short = { kills: 24, messages: 4_000, ackWaitMs: 1_500, concurrency: 64, workers: 1, seed };
  say('control: ack before the sinks');
  const early = await runKills({ ...short, fault: 'ack-before-sink' });
  say('control: dead letters by the delivery count');
  const counted = await runKills({ ...short, fault: 'max-deliver' });
  const claims: Claim[] = [
    { text: `control: ack before the sinks loses messages (${early.lost})`, holds: early.lost > 0 },
    {
      text: `control: counting deliveries alone makes dead letters of innocents (${counted.innocents})`,
      holds: counted.innocents > 0,
    },
  ];
  return { claims, numbers: { controlLost: early.lost, controlInnocents: counted.innocents } };
};

const sumOf = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((sum, each) => sum + each, 0);
