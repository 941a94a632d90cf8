import { dirname, join } from 'node:path';
import { type CommandOptions, type CommandResult, run } from './command.ts';

/**
 * Runs kubectl against one cluster; a non-zero exit is a result. A time limit (default 60 s) is always on. What it remembers of the API lies
 * beside the kubeconfig: its usual place goes by address, where another server may have been.
 */
export type Kubectl = (args: string[], options?: CommandOptions) => Promise<CommandResult>;

export const kubectlFor =
  (binary: string, kubeconfig: string): Kubectl =>
  (args, options = {}) =>
    run(
      binary,
      ['--kubeconfig', kubeconfig, '--cache-dir', join(dirname(kubeconfig), 'kubectl-cache'), ...args],
      options,
    );

/** Like {@link Kubectl}, but a non-zero exit is an error. Returns stdout. */
export const mustKubectl = async (kubectl: Kubectl, args: string[], options: CommandOptions = {}): Promise<string> => {
  const { code, stdout, stderr } = await kubectl(args, options);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')} failed with ${code}: ${stderr.trim()}`);
  return stdout;
};
