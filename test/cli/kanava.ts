import { join } from 'node:path';
import { execPath } from 'node:process';
import { type CommandResult, run } from '../cluster/command.ts';
import { program } from '../programs.ts';

/** `kanava` as a process, from the root of the repository. */
export const kanava = (
  args: readonly string[],
  options: { stdin?: string; timeout?: number } = {},
): Promise<CommandResult> =>
  run(execPath, [program('cli/launch.js'), ...args], { cwd: join(import.meta.dirname, '..', '..'), ...options });
