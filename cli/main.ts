import { Command, CommanderError } from 'commander';
import { addBootstrap } from './bootstrap-command.ts';
import { addCheck } from './check-command.ts';
import { addCompletion } from './completion-command.ts';
import { addDiff } from './diff-command.ts';
import { addDeadLetters } from './dlq-command.ts';
import { addExplain } from './explain-command.ts';
import { addGuard } from './guard-command.ts';
import { NoAccess, UsageError } from './outcome.ts';
import { addRender } from './render-command.ts';
import { addReplay } from './replay-command.ts';
import { addRun } from './run-command.ts';
import { addStatus } from './status-command.ts';
import { addTest } from './test-command.ts';
import { addVersion } from './version-command.ts';

/*
 * `kanava`: the commands that kubectl cannot be. Exit codes: 0 fine, 1 something was found that you must decide, 2 wrong usage,
 * 3 no access to the cluster or to NATS.
 */
const program = new Command('kanava')
  .description('Runs integrations on Kubernetes over NATS JetStream.')
  .addHelpText('after', '\nExit codes: 0 fine, 1 findings, 2 usage, 3 no access to the cluster or to NATS.')
  .showHelpAfterError('(see kanava --help)')
  .exitOverride();

addCheck(program);
addRun(program);
addTest(program);
addRender(program);
addDiff(program, process.env);
addStatus(program, process.env);
addDeadLetters(program, process.env);
addReplay(program, process.env);
addExplain(program);
addVersion(program);
addCompletion(program);
addBootstrap(program, process.env);
addGuard(program, process.env);

const exitCodeOf = (error: unknown): number => {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  console.error(`kanava: ${error instanceof Error ? error.message : String(error)}`);
  if (error instanceof UsageError) return 2;
  return error instanceof NoAccess ? 3 : 1;
};

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}
