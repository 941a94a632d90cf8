import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { lastLines } from './command.ts';

export interface ServerProcess {
  /** Of the running process; of the last one while it is stopped. */
  readonly pid: number;
  readonly running: boolean;
  /** Starts it again with the same arguments and waits until it is ready. */
  start(): Promise<void>;
  /** Sends the signal (default SIGTERM) and waits for the exit; SIGKILL follows after 10 s. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

interface Definition {
  name: string;
  command: string;
  args: string[];
  /** Output of every run is appended here. */
  log: string;
  ready: () => Promise<boolean>;
  /** Milliseconds until a start that is not ready is a failure. Default 120,000: machines may be busy. */
  timeout?: number;
}

// A killed test run must not leave servers behind: the kernel ends them with the thread that started them.
const setpriv = '/usr/bin/setpriv';
const withParent = (command: string, args: string[]): [string, string[]] =>
  existsSync(setpriv) ? [setpriv, ['--pdeathsig', 'KILL', '--', command, ...args]] : [command, args];

const spawnLogged = ({ command, args, log }: Definition): ChildProcess => {
  const output = openSync(log, 'a');
  const child = spawn(...withParent(command, args), { stdio: ['ignore', output, output] });
  closeSync(output);
  return child;
};

/** Starts a server as a child of this process and waits until it is ready. */
export const startServer = async (definition: Definition): Promise<ServerProcess> => {
  const { name, log, ready, timeout = 120_000 } = definition;
  let child: ChildProcess | undefined;
  let pid = 0;
  let exited: Promise<void> = Promise.resolve();
  let failure: Error | undefined;

  const killNow = () => child?.kill('SIGKILL');
  const fail = (what: string): Error =>
    new Error(`${name} ${what}. Its last output (${log}):\n${lastLines(readFileSync(log, 'utf8'), 30)}`, {
      cause: failure,
    });

  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    if (!child) return;
    child.kill(signal);
    const timer = setTimeout(killNow, 10_000);
    await exited;
    clearTimeout(timer);
  };

  const start = async () => {
    if (child) return;
    failure = undefined;
    const started = spawnLogged(definition);
    child = started;
    pid = started.pid ?? 0;
    process.once('exit', killNow);
    exited = new Promise((resolve) => {
      const end = (error?: Error) => {
        failure = error;
        child = undefined;
        process.off('exit', killNow);
        resolve();
      };
      started.once('exit', () => end());
      started.once('error', end);
    });
    const deadline = performance.now() + timeout;
    while (!(await ready())) {
      if (!child) throw fail('ended before it was ready');
      if (performance.now() > deadline) {
        await stop('SIGKILL');
        throw fail(`was not ready within ${timeout / 1000} s`);
      }
      await delay(10);
    }
  };

  await start();
  return {
    get pid() {
      return pid;
    },
    get running() {
      return child !== undefined;
    },
    start,
    stop,
  };
};
