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
      const { explainedConnectors, explainedSteps } = await import('./explain.ts');
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
      options: command.options.flatMap(({ long, description, argChoices = [] }) =>
        long ? [{ flag: long, summary: description, values: argChoices }] : [],
      ),
      argument: argumentOf(command, names),
    }));

const argumentOf = (command: Command, names: Readonly<Record<string, readonly string[]>>): CommandWords['argument'] => {
  const [argument] = command.registeredArguments;
  if (argument?.name() === 'file') return 'files';
  return argument?.argChoices ?? names[command.name()] ?? [];
};
