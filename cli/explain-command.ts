import { styleText } from 'node:util';
import type { Command } from 'commander';
import type { Explained, fieldLines } from './explain.ts';
import { UsageError } from './outcome.ts';
import { type Format, formatOption, say, sayValue, table } from './output.ts';

/** `kanava connectors [NAME]` and `kanava steps [NAME]`. */
export const addExplain = (program: Command): void => {
  const add = (command: 'connectors' | 'steps', what: string, key: 'explainedConnectors' | 'explainedSteps') =>
    program
      .command(command)
      .description(`list ${what}s, or explain every field of one`)
      .argument('[name]', `name of a ${what}`)
      .addOption(formatOption())
      .action(async (name: string | undefined, { output }: { output: Format }) => {
        const explain = await import('./explain.ts');
        const all = explain[key]();
        const chosen = name === undefined ? all : all.filter((one) => one.name === name);
        if (chosen.length === 0)
          throw new UsageError(`there is no ${what} ${name}; there are: ${all.map((one) => one.name).join(', ')}`);
        if (output !== 'text') sayValue(output, name === undefined ? chosen : chosen[0]);
        else
          say(name === undefined ? overview(chosen) : chosen.map((one) => detail(one, explain.fieldLines)).join('\n'));
      });
  add('connectors', 'connector', 'explainedConnectors');
  add('steps', 'step', 'explainedSteps');
};

const overview = (all: readonly Explained[]): string =>
  table([
    ['NAME', 'AS', 'RUNS IN', 'WHAT IT DOES'],
    ...all.flatMap(({ name, parts }) =>
      parts.map(({ role, placement, summary }) => [
        name,
        role,
        placement ?? (role === 'connection' ? '' : 'worker'),
        summary,
      ]),
    ),
  ]);

const detail = ({ name, parts }: Explained, lines: typeof fieldLines): string =>
  parts
    .map(({ role, summary, placement, schema }) =>
      [
        `${styleText('bold', name)} as a ${role}${placement === undefined ? '' : ` (runs in: ${placement})`}: ${summary}`,
        ...lines(schema),
        '',
      ].join('\n'),
    )
    .join('\n');
