import { styleText } from 'node:util';
import type { Command } from 'commander';
import type { Explained, fieldsOf, Part } from '../operator/api/explain.ts';
import type { exampleText, notes } from '../operator/api/reference.ts';
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
        const explain = await import('../operator/api/explain.ts');
        const all = explain[key]();
        const chosen = name === undefined ? all : all.filter((one) => one.name === name);
        if (chosen.length === 0)
          throw new UsageError(`there is no ${what} ${name}; there are: ${all.map((one) => one.name).join(', ')}`);
        if (output !== 'text') sayValue(output, name === undefined ? chosen : chosen[0]);
        else if (name === undefined) say(overview(chosen));
        else {
          const reference = await import('../operator/api/reference.ts');
          const parts = chosen.flatMap((one) =>
            one.parts.map((part) => shown(one.name, part, { ...explain, ...reference })),
          );
          say(parts.join('\n'));
        }
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

const shown = (
  name: string,
  part: Part,
  as: { fieldsOf: typeof fieldsOf; exampleText: typeof exampleText; notes: typeof notes },
): string => {
  const { role, summary, schema, examples } = part;
  const fields = as.fieldsOf(schema).flatMap(({ path, form, required, text }) => {
    const indent = '  '.repeat(path.length);
    return [
      `${indent}${path.at(-1)} <${form}${required ? ', required' : ''}>`,
      ...(text ? [`${indent}    ${text}`] : []),
    ];
  });
  const blocks = examples.map((example) => `# ${example.why}\n${as.exampleText(name, role, example)}`);
  return [
    `${styleText('bold', name)} as a ${role}: ${summary}`,
    ...as.notes(part).map((note) => `  ${note}`),
    ...fields,
    ...(blocks.length > 0 ? ['  Examples:', blocks.join('\n').replaceAll(/^(?=.)/gm, '    ')] : ['']),
  ].join('\n');
};
