import { spawn } from 'node:child_process';
import { environmentWith } from './settings.ts';

export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

export interface CommandOptions {
  stdin?: string;
  cwd?: string;
  env?: Record<string, string>;
  /** Milliseconds; the command is then killed and its code is 124. Default 60,000. */
  timeout?: number;
}

/** Of Go programs: one that ends in a moment need not collect what it leaves, which was a third of Helm's time. */
const collectLate = { GOGC: 'off', GOMEMLIMIT: '1GiB' };

/** Runs a command to its end. A non-zero exit is a result; a command that cannot be started is an error. */
export const run = (command: string, args: string[], options: CommandOptions = {}): Promise<CommandResult> =>
  new Promise((resolve, reject) => {
    const { stdin, cwd, env, timeout = 60_000 } = options;
    const child = spawn(command, args, {
      cwd,
      env: environmentWith({ ...collectLate, ...env }),
      stdio: [stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, timeout);
    child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.on('error', (cause) => {
      clearTimeout(timer);
      reject(new Error(`${command} could not be started: is it installed and on the PATH?`, { cause }));
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      const errors = Buffer.concat(stderr).toString();
      resolve({
        code: timedOut ? 124 : (code ?? 1),
        stdout: Buffer.concat(stdout).toString(),
        stderr: timedOut ? `${errors}\n${command} was ended after ${timeout / 1000} s` : errors,
      });
    });
    // A command may exit before it has read its input (EPIPE); its exit code tells why.
    child.stdin?.on('error', () => {});
    child.stdin?.end(stdin);
  });

export const lastLines = (text: string, count: number): string => text.trimEnd().split('\n').slice(-count).join('\n');

/** Like {@link run}, but a non-zero exit is an error that carries the end of the output. Returns stdout. */
export const mustRun = async (command: string, args: string[], options: CommandOptions = {}): Promise<string> => {
  const { code, stdout, stderr } = await run(command, args, options);
  if (code === 0) return stdout;
  const shown = `${command} ${args.join(' ')}`;
  throw new Error(
    `${shown.length > 300 ? `${shown.slice(0, 300)}...` : shown}\nfailed with ${code}:\n${lastLines(stderr || stdout, 30)}`,
  );
};

export const isInstalled = async (command: string): Promise<boolean> =>
  (await run('sh', ['-c', `command -v "${command}"`])).code === 0;
