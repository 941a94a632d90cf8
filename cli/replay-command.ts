import { readFileSync } from 'node:fs';
import { type Command, InvalidArgumentError } from 'commander';
import {
  addChoiceOptions,
  addNatsOptions,
  type Choice,
  idArgument,
  type NatsOptions,
  requireChoice,
} from './dead-letter-options.ts';
import { UsageError } from './outcome.ts';
import { addExamples, counted, endWithFindings, type Format, formatOption, say, sayValue, table } from './output.ts';
import type { Result } from './replay.ts';

type Options = NatsOptions &
  Choice & {
    readonly from?: string;
    readonly everywhere: boolean;
    readonly body?: string;
    readonly patch?: string;
    readonly rate?: number;
    readonly dryRun: boolean;
    readonly output: Format;
  };

export const addReplay = (program: Command, env: NodeJS.ProcessEnv): void => {
  const command = program
    .command('replay')
    .description('put dead letters into the inbox again; each is removed once the inbox has it')
    .argument('<integration>', 'its name')
    .argument('[id...]', 'as `kanava dlq list` shows them', idArgument)
    .option('--from <step>', 'start at this step, with the message as it was accepted; default: the first')
    .option('--everywhere', 'to all sinks; default: where a sink failed, only to that one', false)
    .option('--body <file>', 'in place of the body of one dead letter; -: standard input')
    .option('--patch <json>', 'JSON Merge Patch of the bodies')
    .option('--rate <count>', 'most in a second', positive)
    .option('--dry-run', 'only say what would be stored', false)
    .addOption(formatOption())
    .action(async (integration: string, ids: readonly number[], { output, ...options }: Options) => {
      requireChoice(ids, options);
      if (options.body !== undefined && options.patch !== undefined)
        throw new UsageError('--body and --patch do not go together');
      if (options.body !== undefined && ids.length !== 1)
        throw new UsageError('--body is the body of one dead letter: give one id');
      const body = options.body === undefined ? undefined : fileBytes(options.body);
      const patch = options.patch === undefined ? undefined : patchOf(options.patch);
      const [{ withDeadLetters }, { chosen, unjudged }, { replayAll, replayPlan }] = await Promise.all([
        import('./nats-access.ts'),
        import('./dead-letter-choice.ts'),
        import('./replay.ts'),
      ]);
      await withDeadLetters(integration, options, env, async (letters) => {
        const notes = unjudged();
        const plan = replayPlan(integration, { ...options, body, patch });
        const results: Result[] = [];
        const tell = progress();
        for await (const result of replayAll(letters, chosen(letters, ids, options, notes), plan, options)) {
          results.push(result);
          tell(results.length);
        }
        notes.tell();
        if (output === 'text') say(textOf(integration, results, options.dryRun));
        else sayValue(output, results);
        if (results.some(({ outcome }) => outcome !== 'replayed' && outcome !== 'planned')) endWithFindings();
      });
    });
  addChoiceOptions(addNatsOptions(command));
  addExamples(
    command,
    'kanava replay orders 17 -n acme',
    `kanava replay orders --where "error.code == 'HttpStatus502'" --rate 20 -n acme`,
    `kanava replay orders 17 --patch '{"country": "FI"}' -n acme`,
  );
};

const fileBytes = (file: string): Uint8Array => {
  try {
    return readFileSync(file === '-' ? 0 : file);
  } catch (cause) {
    throw new UsageError(`--body: ${(cause as Error).message}`, { cause });
  }
};
const positive = (text: string): number => {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('a number above 0.');
  return value;
};
const patchOf = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UsageError(`--patch is not JSON: ${(cause as Error).message}`, { cause });
  }
};

/** One line that counts, for whoever waits at a terminal. */
const progress = (): ((count: number) => void) => {
  if (!process.stderr.isTTY) return () => undefined;
  const everyMs = 200;
  let last = performance.now();
  return (count) => {
    if (performance.now() - last < everyMs) return;
    last = performance.now();
    process.stderr.write(`\r${count} done`);
  };
};

const textOf = (integration: string, results: readonly Result[], dryRun: boolean): string => {
  const rows = results.filter(({ outcome }) => dryRun || outcome !== 'replayed');
  const done = results.filter(({ outcome }) => outcome === 'replayed').length;
  return [
    ...(rows.length === 0
      ? []
      : [
          table([
            ['ID', 'OUTCOME', 'INTO', 'MESSAGE-ID', 'REASON'],
            ...rows.map(({ id, outcome, subject, messageId, reason = '' }) => [
              String(id),
              outcome,
              subject,
              messageId,
              reason,
            ]),
          ]),
        ]),
    dryRun
      ? `would replay ${counted(results.length, 'dead letter')} of ${integration}`
      : `replayed ${done} of ${counted(results.length, 'dead letter')} of ${integration}`,
  ].join('\n');
};
