import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Volume } from '../../runtime/connector.ts';
import { reasonOf } from '../../runtime/errors.ts';
import { Body } from '../../runtime/message.ts';
import { UsageError } from '../outcome.ts';
import { counted } from '../output.ts';
import { readSources, type Source } from '../sources.ts';
import { type Console, createConsole, type Output } from './console.ts';
import { give } from './given.ts';
import { createLoop, type Loop } from './loop.ts';
import type { NatsAccess } from './nats-broker.ts';
import { type LocalIntegration, type LocalPlan, planLocally } from './plan.ts';
import { watchFiles } from './watch.ts';

/*
 * `kanava run`: checks, runs, and follows the files until it is told to end. True when nothing was wrong.
 */
export interface RunOptions {
  readonly paths: readonly string[];
  readonly namespace: string;
  readonly secretsFolder: string | undefined;
  /** Holds folders in place of volumes, by the names of their claims. */
  readonly volumesFolder: string | undefined;
  /** File of the one message, or `-`. */
  readonly once: string | undefined;
  /** Integration that gets it. */
  readonly to: string | undefined;
  readonly port: number;
  readonly host: string;
  readonly print: boolean;
  /** A real server; default: a broker in memory. */
  readonly nats?: NatsAccess | undefined;
  readonly data: Output;
  readonly notes: Output;
  /** Called when everything runs. */
  readonly ended: () => Promise<void>;
}
const graceMs = 10_000;

export const run = async (options: RunOptions): Promise<boolean> => {
  const console = createConsole(options.data, options.notes);
  const sources = readSources(options.paths);
  const plan = planLocally(sources, planned(options));
  if (!isSound(plan, console)) return false;
  if (plan.integrations.length === 0) {
    console.problem('', `no Integration in ${counted(sources.length, 'file')}`);
    return false;
  }
  const { nats } = options;
  const onServer = async (access: NatsAccess) => (await import('./nats-broker.ts')).natsBroker(access, console.log(''));
  const loop = createLoop({
    ...options,
    broker: nats && (() => onServer(nats)),
    volume: volumeIn(options.volumesFolder),
    // The one message is all that is to be worked on.
    fetch: options.once === undefined,
    console,
  });
  try {
    // Before it runs: a signal that comes meanwhile is not lost.
    const ended = options.ended();
    const unopened = await loop.apply(plan);
    if (unopened > 0) return false;
    if (options.once !== undefined) return await sendOnce(options.once, addressee(plan, options.to), loop, console);
    const watch = watchFiles(
      options.paths,
      () => reload(sources, options, loop, console),
      (error) => console.problem('', `edits are not followed any more: ${error.message}`),
    );
    console.note('', `runs ${counted(plan.integrations.length, 'Integration')}; edit the files, or press Ctrl-C`);
    await ended;
    console.note('', 'ending: finishes what runs');
    await watch.close();
    return true;
  } finally {
    const left = await loop.close(graceMs);
    if (left.length > 0) console.note('', ['left on the server:', ...left].join('\n  '));
  }
};

const planned = (options: RunOptions) => {
  const volume = volumeIn(options.volumesFolder);
  const isFolder = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  return { ...options, volume: (claim: string) => (isFolder(volume(claim)) ? volume(claim) : undefined) };
};
const volumeIn =
  (folder: string | undefined): Volume =>
  (claim) =>
    folder === undefined ? '' : resolve(join(folder, claim));

const isSound = ({ findings }: LocalPlan, console: Console): boolean => {
  const errors = findings.filter(({ severity }) => severity === 'error');
  console.findings(errors);
  return errors.length === 0;
};

/** What cannot run changes nothing. */
const reload = async (before: Source[], options: RunOptions, loop: Loop, console: Console): Promise<void> => {
  const began = performance.now();
  try {
    const sources = readSources(options.paths);
    if (JSON.stringify(sources) === JSON.stringify(before)) return;
    const emptied = sources.find(({ name, text }) => isBlank(text) && before.some((old) => old.name === name));
    // Some editors empty a file before they write it.
    if (emptied) return console.problem('', `${emptied.name} is empty: what ran before goes on`);
    before.splice(0, before.length, ...sources);
    const plan = planLocally(sources, planned(options));
    if (!isSound(plan, console)) return console.problem('', 'not taken over: what ran before goes on');
    if ((await loop.apply(plan)) === 0) console.note('', `taken over in ${Math.round(performance.now() - began)} ms`);
  } catch (error) {
    console.problem('', `not taken over: ${reasonOf(error)}`);
  }
};

const isBlank = (text: string): boolean => text.trim() === '';

const longestOnceMs = 60_000;
const lookEveryMs = 20;

const addressee = ({ integrations }: LocalPlan, name: string | undefined): LocalIntegration => {
  const found = name === undefined ? integrations[0] : integrations.find((each) => each.name === name);
  if (found) return found;
  const known = integrations.map((each) => each.name).join(', ');
  throw new UsageError(`--to ${name ?? ''}: no such Integration; there are: ${known}`);
};

const sendOnce = async (
  file: string,
  integration: LocalIntegration,
  loop: Loop,
  console: Console,
): Promise<boolean> => {
  const tenant = loop.tenantOf(integration);
  const given = { body: Body.fromBytes(contentOf(file)) };
  const answer = await give(integration, tenant, given, { log: console.log(integration.name) });
  if (answer && 'failed' in answer) {
    console.problem(integration.name, `answered ${answer.failed.code}: ${answer.failed.message}`);
    return false;
  }
  if (answer?.message) console.message(integration.name, 'answer', answer.message);
  for (let left = longestOnceMs / lookEveryMs; !(await tenant.atRest()); left -= 1) {
    if (left <= 0) {
      console.problem(integration.name, `the message is not done after ${longestOnceMs / 1000} s`);
      return false;
    }
    await pause(lookEveryMs);
  }
  return loop.deadLetters() === 0;
};

const contentOf = (file: string): Uint8Array => {
  try {
    return readFileSync(file === '-' ? 0 : file);
  } catch (cause) {
    throw new UsageError(`--once ${file}: cannot be read: ${reasonOf(cause)}`, { cause });
  }
};
