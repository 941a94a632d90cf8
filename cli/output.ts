import { type Command, Option } from 'commander';
import { dump } from 'js-yaml';

export type Format = 'text' | 'json' | 'yaml';

export const formatOption = (): Option =>
  new Option('-o, --output <format>', 'form of the output').choices(['text', 'json', 'yaml']).default('text');

export const say = (text: string): void => {
  process.stdout.write(text.endsWith('\n') || text === '' ? text : `${text}\n`);
};

/** One value, for programs. */
export const sayValue = (format: Exclude<Format, 'text'>, value: unknown): void =>
  say(format === 'json' ? JSON.stringify(value, undefined, 2) : asYaml(value));

export const asYaml = (value: unknown): string => dump(value, { lineWidth: -1, noRefs: true });

/** Columns as kubectl has them. */
export const table = (rows: readonly (readonly string[])[]): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('   ')
        .trimEnd(),
    )
    .join('\n');
};

/** `1 error`, `2 errors`. */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** What a command found is for the user to decide: it worked, and says so by its exit code. */
export const endWithFindings = (): void => {
  process.exitCode = 1;
};

export const addExamples = (command: Command, ...examples: string[]): Command =>
  command.addHelpText('after', `\nExamples:\n${examples.map((example) => `  ${example}`).join('\n')}`);
