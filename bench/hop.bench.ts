import { parseArgs } from 'node:util';
import { startArena } from './hop/arena.ts';
import { type Latency, runLatency } from './hop/latency.ts';
import {
  buildC,
  type FlowOptions,
  fiveSteps,
  kanava,
  oneStep,
  oneStepWithTime,
  type Participant,
  program,
} from './hop/participants.ts';
import { fillSources, type Hops, runHops } from './hop/throughput.ts';
import { median, roundsOf, UsageError } from './measure.ts';

/* What counts are the medians of each round's ratios; each round has fresh processes, consumers and destinations. */
export const help = `hop [--rounds 5] [--messages 60000] [--part rates|fsync|latency ...] [--only NAME ...] [--profile FOLDER] [PROGRAM...]

  One message from the inbox through a map step to the bus, with everything that is switched on in production, beside the same hop in plain
  JavaScript (raw), with the client library (tuned) and in C. All take turns on one server, every message is verified.
  --part     only this; may be given several times
  --only     leaves the others out: raw, tuned, c, kanava, kanava-5, kanava-single
  --profile  CPU profiles of the workers
  PROGRAM    takes part through the environment: PORT, N messages from stream SRC by consumer CONS, W in flight, to out.<DST>`;

const parts = ['rates', 'fsync', 'latency'] as const;
const slowRate = { perSecond: 1_000, seconds: 5 };
const fastRate = { perSecond: 5_000, seconds: 6 };
/** A server that waits for the disk is ten times slower. */
const fsyncShare = 6;
const busyFrom = 0.08;

type Rounds = ReadonlyMap<string, readonly Hops[]>;

export const run = async (args: string[]): Promise<void> => {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '5' },
      messages: { type: 'string', default: '60000' },
      part: { type: 'string', multiple: true, default: [...parts] },
      only: { type: 'string', multiple: true },
      profile: { type: 'string' },
    },
  });
  const [rounds, messages] = [roundsOf(values.rounds, 5), Number(values.messages)];
  const unknown = values.part.find((part) => !parts.some((each) => each === part));
  if (unknown !== undefined) throw new UsageError(`there is no part "${unknown}"; parts: ${parts.join(', ')}`);

  const wanted = ({ name }: Participant) => values.only?.includes(name) ?? true;
  const worker = (name: string, flow: FlowOptions, allowBatch: boolean) =>
    kanava(name, flow, { allowBatch, profile: values.profile });

  const c = await buildC();
  if ('missing' in c) console.log(`the yardstick in C is missing: ${c.missing}`);
  const yardsticks = [
    program('raw', [process.execPath, 'bench/hop/raw.ts'], 'transformed'),
    program('tuned', [process.execPath, 'bench/hop/tuned.ts'], 'transformed'),
    ...('program' in c ? [program('c', [c.program], 'patched')] : []),
    ...positionals.map((path) => program(path, [path], 'ids')),
  ].filter(wanted);
  const results = new Map<string, number>();
  if (values.part.includes('rates')) {
    console.log('\nthe server as it is by default');
    const participants = [
      ...yardsticks,
      await worker('kanava', oneStep, false),
      await worker('kanava-5', fiveSteps, false),
    ].filter(wanted);
    const table = await inTurns('', participants, rounds, messages);
    compare(results, table, '');
    ratio(results, 'five_steps_vs_one', table, 'kanava-5', 'kanava');
    const memory = (table.get('kanava') ?? []).map(({ idleMib, loadMib }) => loadMib / idleMib);
    results.set('rss_load_vs_idle', median(memory));
  }
  if (values.part.includes('fsync')) {
    console.log('\nthe server with sync_interval: always, as the chart runs it');
    const participants = [
      ...yardsticks,
      await worker('kanava', oneStep, true),
      await worker('kanava-single', oneStep, false),
    ].filter(wanted);
    const table = await inTurns('sync_interval: always', participants, rounds, Math.ceil(messages / fsyncShare));
    compare(results, table, 'fsync_');
    ratio(results, 'fsync_batch_vs_single', table, 'kanava', 'kanava-single');
  }
  if (values.part.includes('latency')) {
    console.log('\nlatency, sent when due');
    const ours = await worker('kanava', oneStepWithTime, false);
    await latencies(results, { ours, c: yardsticks.find(({ name }) => name === 'c') }, rounds);
  }
  console.log('');
  for (const [name, value] of results) console.log(`${name} ${value.toFixed(2)}`);
};

const inTurns = async (
  jetstream: string,
  participants: readonly Participant[],
  rounds: number,
  messages: number,
): Promise<Rounds> => {
  const arena = await startArena(jetstream);
  const table = new Map<string, Hops[]>(participants.map(({ name }) => [name, []]));
  await fillSources(arena, messages);
  let number = 0;
  for (let round = 1; round <= rounds; round += 1) {
    for (const participant of participants) {
      number += 1;
      const hops = await runHops(arena, participant, number, messages);
      table.get(participant.name)?.push(hops);
      console.log(`round ${round}: ${lineOf(participant.name, hops)}`);
    }
  }
  await arena.close();
  for (const [name, all] of table) console.log(`median:  ${lineOf(name, medianOf(all))}`);
  const foreign = median([...table.values()].flat().map((hops) => hops.foreign));
  if (foreign >= busyFrom) {
    console.log(
      `the machine was busy with other things (${(foreign * 100).toFixed(0)} %): these numbers are distorted`,
    );
  }
  return table;
};

const lineOf = (name: string, { perSecond, ownUs, serverUs, idleMib, loadMib, foreign }: Hops): string =>
  [
    name.padEnd(14),
    `${perSecond.toFixed(0).padStart(7)} hops/s`,
    `own ${ownUs.toFixed(1)} us`,
    `server ${serverUs.toFixed(1)} us`,
    `memory ${idleMib.toFixed(0)} -> ${loadMib.toFixed(0)} MiB`,
    `others ${(foreign * 100).toFixed(0)} %`,
  ].join('  ');

const medianOf = (all: readonly Hops[]): Hops => {
  const of = (field: keyof Hops) => median(all.map((hops) => hops[field]));
  return {
    perSecond: of('perSecond'),
    ownUs: of('ownUs'),
    serverUs: of('serverUs'),
    idleMib: of('idleMib'),
    loadMib: of('loadMib'),
    foreign: of('foreign'),
  };
};

/** Median over the rounds of one rate divided by another of the same round. */
const ratio = (results: Map<string, number>, name: string, table: Rounds, ours: string, theirs: string): void => {
  const reference = table.get(theirs);
  if (!reference) return;
  const ratios = (table.get(ours) ?? []).map(
    ({ perSecond }, round) => perSecond / (reference[round]?.perSecond ?? Number.NaN),
  );
  results.set(name, median(ratios));
};

const compare = (results: Map<string, number>, table: Rounds, prefix: string): void => {
  for (const name of table.keys()) {
    if (!name.startsWith('kanava')) ratio(results, `${prefix}hop_vs_${name}`, table, 'kanava', name);
  }
};

/** Half of the messages are faster than p50: there the way without a hop is taken off. For p99 all of it counts. */
const latencies = async (
  results: Map<string, number>,
  { ours, c }: { readonly ours: Participant; readonly c: Participant | undefined },
  rounds: number,
): Promise<void> => {
  const arena = await startArena('');
  const [added50, whole99]: [number[], number[]] = [[], []];
  let number = 0;
  const measure = async (participant: Participant | undefined, rate: typeof slowRate): Promise<Latency> => {
    number += 1;
    const latency = await runLatency(arena, participant, number, rate);
    const name = (participant?.name ?? 'no hop').padEnd(8);
    console.log(`${rate.perSecond}/s ${name} p50 ${latency.p50.toFixed(2)} ms  p99 ${latency.p99.toFixed(2)} ms`);
    return latency;
  };
  for (let round = 1; round <= rounds; round += 1) {
    const floor = await measure(undefined, slowRate);
    const [slowC, slowOurs] = [c && (await measure(c, slowRate)), await measure(ours, slowRate)];
    const [fastC, fastOurs] = [c && (await measure(c, fastRate)), await measure(ours, fastRate)];
    if (slowC) added50.push((slowOurs.p50 - floor.p50) / (slowC.p50 - floor.p50));
    if (fastC) whole99.push(fastOurs.p99 / fastC.p99);
  }
  await arena.close();
  if (!c) return;
  results.set('p50_vs_c', median(added50));
  results.set('p99_vs_c', median(whole99));
};
