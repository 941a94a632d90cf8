import type { Command } from 'commander';
import {
  addChoiceOptions,
  addFilterOptions,
  addNatsOptions,
  type Choice,
  idArgument,
  type NatsOptions,
  requireChoice,
} from './dead-letter-options.ts';
import { addExamples, asYaml, counted, type Format, formatOption, say, sayValue, table } from './output.ts';

type Options = NatsOptions & Choice & { readonly output: Format };

const load = () =>
  Promise.all([import('./nats-access.ts'), import('./dead-letter-choice.ts'), import('./dead-letter-view.ts')]);

/** `kanava dlq list|show|discard`. */
export const addDeadLetters = (program: Command, env: NodeJS.ProcessEnv): void => {
  const dlq = program.command('dlq').description('look at dead letters of an Integration, or remove them');
  addList(dlq, env);
  addShow(dlq, env);
  addDiscard(dlq, env);
};

const addList = (dlq: Command, env: NodeJS.ProcessEnv): void => {
  const command = dlq
    .command('list')
    .description('list dead letters, oldest first')
    .argument('<integration>', 'its name')
    .option('--limit <count>', 'the newest so many', Number, 100)
    .addOption(formatOption())
    .action(async (integration: string, { limit, output, ...options }: Options & { limit: number }) => {
      const [{ withDeadLetters }, { chosen, unjudged }, view] = await load();
      await withDeadLetters(integration, options, env, async (letters) => {
        const rows: { cells: string[]; summary: unknown }[] = [];
        const notes = unjudged();
        let count = 0;
        for await (const letter of chosen(letters, [], options, notes)) {
          count += 1;
          rows.push({ cells: view.cells(letter), summary: view.summaryOf(letter) });
          if (rows.length > limit) rows.shift();
        }
        notes.tell();
        if (output !== 'text')
          return sayValue(
            output,
            rows.map(({ summary }) => summary),
          );
        if (rows.length > 0) say(table([view.header, ...rows.map(({ cells }) => cells)]));
        if (count > rows.length) console.error(`and ${counted(count - rows.length, 'older one')}; see --limit`);
        if (count === 0)
          console.error(`no dead letters of ${integration}${options.where || options.part ? ' that are meant' : ''}`);
      });
    });
  addFilterOptions(addNatsOptions(command));
  addExamples(
    command,
    'kanava dlq list orders -n acme',
    `kanava dlq list orders -n acme --where "error.code == 'HttpStatus502' && body.total > 1000"`,
  );
};

const addShow = (dlq: Command, env: NodeJS.ProcessEnv): void => {
  const command = dlq
    .command('show')
    .description('show dead letters with headers and body')
    .argument('<integration>', 'its name')
    .argument('<id...>', 'as `kanava dlq list` shows them', idArgument)
    .addOption(formatOption())
    .action(async (integration: string, ids: readonly number[], { output, ...options }: Options) => {
      const [{ withDeadLetters }, { chosen, unjudged }, { wholeOf }] = await load();
      await withDeadLetters(integration, options, env, async (letters) => {
        const shown: unknown[] = [];
        for await (const letter of chosen(letters, ids, {}, unjudged())) shown.push(wholeOf(letter));
        const value = shown.length === 1 ? shown[0] : shown;
        if (output === 'json') sayValue(output, value);
        else say(shown.map(asYaml).join('---\n'));
      });
    });
  addNatsOptions(command);
};

const addDiscard = (dlq: Command, env: NodeJS.ProcessEnv): void => {
  const command = dlq
    .command('discard')
    .description('remove dead letters for good')
    .argument('<integration>', 'its name')
    .argument('[id...]', 'as `kanava dlq list` shows them', idArgument)
    .option('--dry-run', 'only say which', false)
    .addOption(formatOption())
    .action(
      async (
        integration: string,
        ids: readonly number[],
        { dryRun, output, ...options }: Options & { dryRun: boolean },
      ) => {
        requireChoice(ids, options);
        const [{ withDeadLetters }, { chosen, unjudged }, view] = await load();
        await withDeadLetters(integration, options, env, async (letters) => {
          const notes = unjudged();
          const gone: { cells: string[]; summary: { id: number } }[] = [];
          for await (const letter of chosen(letters, ids, options, notes)) {
            if (!dryRun) await letters.remove(letter.id);
            gone.push({ cells: view.cells(letter), summary: view.summaryOf(letter) });
          }
          notes.tell();
          if (output !== 'text')
            return sayValue(
              output,
              gone.map(({ summary }) => summary),
            );
          if (gone.length > 0) say(table([view.header, ...gone.map(({ cells }) => cells)]));
          say(`${dryRun ? 'would discard' : 'discarded'} ${counted(gone.length, 'dead letter')} of ${integration}`);
        });
      },
    );
  addChoiceOptions(addNatsOptions(command));
  addExamples(
    command,
    'kanava dlq discard orders 17 18 -n acme',
    `kanava dlq discard orders --part valid --where "error.code == 'Invalid'" --dry-run -n acme`,
  );
};
