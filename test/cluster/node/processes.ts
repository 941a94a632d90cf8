import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type NodeLayout, pathsOf } from './layout.ts';

export interface NodeProcess {
  pid: number;
  argv: string[];
}

/**
 * The processes that belong to a node are those whose command line names its state folder. The kernel's list is the only
 * record: a pid file can be lost, stale or about somebody else.
 */
export const nodeProcesses = async ({ state }: NodeLayout): Promise<NodeProcess[]> => {
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry));
  const all = await Promise.all(
    pids.map(async (pid) => {
      const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      const argv = line.split('\0').slice(0, -1);
      // Until it has entered the namespace, a component is still called nsenter.
      return { pid: Number(pid), argv: basename(argv[0] ?? '') === 'nsenter' ? argv.slice(2) : argv };
    }),
  );
  return all.filter(({ argv }) => isServer(argv) && argv.some((argument) => argument.includes(`${state}/`)));
};

/** Our servers are called `<name>-v<version>`; whoever reads a log of the node with `tail` is not one of them. */
const isServer = (argv: string[]): boolean => /-v\d/.test(basename(argv[0] ?? ''));

export const isRunning = (processes: NodeProcess[], command: string[]): boolean =>
  processes.some(({ argv }) => argv.length === command.length && argv.every((item, index) => item === command[index]));

/** Starts a server inside the node's network namespace that outlives this process. */
export const startDetached = (layout: NodeLayout, name: string, command: string[]): void => {
  const { netns, logs } = pathsOf(layout);
  const output = openSync(`${logs}/${name}.log`, 'a');
  // Not `ip netns exec`: it remounts /sys, and the kubelet then finds no cgroups.
  const child = spawn('nsenter', [`--net=${netns}`, ...command], { detached: true, stdio: ['ignore', output, output] });
  closeSync(output);
  child.unref();
};

const signal = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
};

/** Kills what `list` returns, and again what it returns next, until nothing is left. */
export const killAll = async (what: string, list: () => Promise<number[]>): Promise<void> => {
  const deadline = performance.now() + 15_000;
  for (;;) {
    const pids = await list();
    if (pids.length === 0) return;
    if (performance.now() > deadline) throw new Error(`${what}: still running after 15 s: ${pids.join(', ')}`);
    for (const pid of pids) signal(pid);
    await delay(20);
  }
};
