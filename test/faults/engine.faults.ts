import { parseArgs } from 'node:util';
import { killPoints } from './kill-plan.ts';
import { type KillResult, type KillRun, runKills } from './kill-run.ts';

const help = `npm run faults -- engine [OPTIONS]    kills workers at every point of a message and counts what became of the messages
  --kills N       workers killed, 8 points in turn (default 200; 1000 take about half an hour)
  --messages N    messages sent (default 100 for each kill)
  --ack-wait S    seconds until the broker delivers again what a dead worker held (default 30, as in production)
  --workers N     workers at the same time (default 2)
  --seed N        of the kills (default 1)
  --no-controls   leaves out the runs in which a protection is off`;

interface Claim {
  readonly text: string;
  readonly holds: boolean;
}

export const run = async (args: string[]): Promise<boolean> => {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', short: 'h' },
      kills: { type: 'string', default: '200' },
      messages: { type: 'string' },
      'ack-wait': { type: 'string', default: '30' },
      workers: { type: 'string', default: '2' },
      seed: { type: 'string', default: '1' },
      'no-controls': { type: 'boolean' },
    },
  });
  if (values.help) {
    console.log(help);
    return true;
  }
  const kills = whole('--kills', values.kills);
  const options: KillRun = {
    kills,
    messages: values.messages === undefined ? 100 * kills : whole('--messages', values.messages),
    ackWaitMs: 1000 * whole('--ack-wait', values['ack-wait']),
    concurrency: 64,
    workers: whole('--workers', values.workers),
    seed: whole('--seed', values.seed),
    progress: (text) => console.log(`  ${text}`),
  };
  console.log(`${options.kills} kills, ${options.messages} messages, seed ${options.seed}`);
  const result = await runKills(options);
  print(result);
  const claims = promises(options, result);
  if (!values['no-controls']) claims.push(...(await controls(options.seed)));
  for (const { text, holds } of claims) console.log(`${holds ? 'holds' : 'BROKEN'}  ${text}`);
  return claims.every(({ holds }) => holds);
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
const controls = async (seed: number): Promise<Claim[]> => {
  const short = { kills: 24, messages: 4_000, ackWaitMs: 1_500, concurrency: 64, workers: 1, seed };
  console.log('control: ack before the sinks');
  const early = await runKills({ ...short, fault: 'ack-before-sink' });
  print(early);
  console.log('control: dead letters by the delivery count');
  const counted = await runKills({ ...short, fault: 'max-deliver' });
  print(counted);
  return [
    { text: 'control: ack before the sinks loses messages', holds: early.lost > 0 },
    { text: 'control: counting deliveries alone makes dead letters of innocents', holds: counted.innocents > 0 },
  ];
};

const print = ({ killed, ...rest }: KillResult) => {
  console.log(`  killed      ${killPoints.map((point) => `${point} ${killed[point]}`).join(', ')}`);
  for (const [name, value] of Object.entries(rest)) console.log(`  ${name.padEnd(20)} ${Math.round(value)}`);
};
const sumOf = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((sum, each) => sum + each, 0);

const whole = (name: string, text: string): number => {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`${name} must be a whole number above 0, not "${text}"`);
};
