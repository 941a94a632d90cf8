import { Argument, type Command } from 'commander';
import { type CommandWords, completionScript, type Shell, shells } from './completion.ts';
import { say } from './output.ts';

export const addCompletion = (program: Command): void => {
  program
    .command('completion')
    .description('print a script that completes commands and options')
    .addArgument(new Argument('<shell>', 'your shell').choices(shells))
    .addHelpText('after', '\nExample:\n  source <(kanava completion bash)')
    .action(async (shell: Shell) => {
      const { explainedConnectors, explainedSteps } = await import('../operator/api/explain.ts');
      const names = {
        connectors: explainedConnectors().map(({ name }) => name),
        steps: explainedSteps().map(({ name }) => name),
      };
      say(completionScript(shell, wordsOf(program, names)));
    });
};

/** What the help shows; hidden commands are for hooks. */
const wordsOf = (program: Command, names: Readonly<Record<string, readonly string[]>>): CommandWords[] =>
  program
    .createHelp()
    .visibleCommands(program)
    .filter((command) => command.name() !== 'help')
    .map((command) => ({
      name: command.name(),
      summary: command.description(),
      options: optionsOf(command),
      argument: argumentOf(command, names),
    }));

/** Those of the commands below it, too: each once. */
const optionsOf = (command: Command): CommandWords['options'] => {
  const options = [command, ...command.commands].flatMap((one) => one.options);
  const byFlag = new Map(options.flatMap((option) => (option.long ? [[option.long, option] as const] : [])));
  return [...byFlag].map(([flag, { description, argChoices = [] }]) => ({
    flag,
    summary: description,
    values: argChoices,
  }));
};

const argumentOf = (command: Command, names: Readonly<Record<string, readonly string[]>>): CommandWords['argument'] => {
  if (command.commands.length > 0) return command.commands.map((sub) => sub.name());
  const [argument] = command.registeredArguments;
  if (argument?.name() === 'file') return 'files';
  return argument?.argChoices ?? names[command.name()] ?? [];
};
