import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { binFolder } from '../binaries.ts';
import { environmentWith, searchPathAfter } from '../settings.ts';
import { type NodeLayout, pathsOf } from './layout.ts';

export interface NodeProcess {
  pid: number;
  argv: string[];
}

const runningPids = async (): Promise<number[]> =>
  (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry)).map(Number);

/**
 * The processes that belong to a node are those whose command line names its state folder. The kernel's list is the only
 * record: a pid file can be lost, stale or about somebody else.
 */
export const nodeProcesses = async ({ state }: NodeLayout): Promise<NodeProcess[]> => {
  const all = await Promise.all(
    (await runningPids()).map(async (pid) => {
      const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      const argv = line.split('\0').slice(0, -1);
      // Until it has entered the namespace, a component is still called nsenter.
      return { pid, argv: basename(argv[0] ?? '') === 'nsenter' ? argv.slice(2) : argv };
    }),
  );
  // Whoever reads a log of the node with `tail` is not one of them.
  const isOurs = (command = '') => command.startsWith(`${binFolder}/`) || command.startsWith(`${state}/`);
  return all.filter(({ argv }) => isOurs(argv[0]) && argv.some((argument) => argument.includes(`${state}/`)));
};

/** The node's network namespace as `/proc/PID/ns/net` names it, `net:[4026532008]`; undefined when there is none. */
export const namespaceOf = (layout: NodeLayout): Promise<string | undefined> =>
  stat(pathsOf(layout).netns).then(
    ({ ino }) => `net:[${ino}]`,
    () => undefined,
  );

/** Everything in a network namespace: also what a server started and what no longer names the node, such as `iptables`. */
export const processesIn = async (namespace: string): Promise<number[]> => {
  const pids = await runningPids();
  const namespaces = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/ns/net`).catch(() => '')));
  return pids.filter((_, index) => namespaces[index] === namespace);
};

export const isRunning = (processes: NodeProcess[], command: string[]): boolean =>
  processes.some(({ argv }) => argv.length === command.length && argv.every((item, index) => item === command[index]));

/** Starts a server inside the node's network namespace that outlives this process. Tells whether it has ended meanwhile. */
export const startDetached = (layout: NodeLayout, name: string, command: string[]): (() => boolean) => {
  const { netns, logs, bin } = pathsOf(layout);
  const output = openSync(`${logs}/${name}.log`, 'a');
  // Not `ip netns exec`: it remounts /sys, and the kubelet then finds no cgroups.
  const child = spawn('nsenter', [`--net=${netns}`, ...command], {
    detached: true,
    stdio: ['ignore', output, output],
    env: environmentWith({ PATH: searchPathAfter(bin) }),
  });
  closeSync(output);
  child.unref();
  return () => child.exitCode !== null || child.signalCode !== null;
};

const kill = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
};

/** A dying process has no command line any more while it still holds its ports; a zombie holds nothing. */
const isGone = async (pid: number): Promise<boolean> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return stat === '' || /^.*\) [ZX]/s.test(stat);
};

/** Kills what `list` returns, and again what it returns next, until nothing is left and all of them are gone. */
export const killAll = async (what: string, list: () => Promise<number[]>): Promise<void> => {
  const deadline = performance.now() + 15_000;
  const dying = new Set<number>();
  for (;;) {
    for (const pid of await list()) {
      kill(pid);
      dying.add(pid);
    }
    for (const pid of dying) if (await isGone(pid)) dying.delete(pid);
    if (dying.size === 0) return;
    if (performance.now() > deadline) throw new Error(`${what}: still there after 15 s: ${[...dying].join(', ')}`);
    await delay(20);
  }
};
