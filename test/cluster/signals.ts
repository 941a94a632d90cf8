import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

/** The state letters of all threads of a process, as /proc tells them: what follows the name, which may hold brackets itself. */
const threadStates = async (pid: number): Promise<string[]> => {
  const tasks = await readdir(`/proc/${pid}/task`);
  const stats = await Promise.all(
    tasks.map((task) => readFile(`/proc/${pid}/task/${task}/stat`, 'utf8').catch(() => '')),
  );
  return stats
    .filter((stat) => stat !== '')
    .map((stat) => stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3));
};

/** SIGSTOP, and until it holds: a thread on another processor goes on for a moment after the signal was sent. */
export const stopProcess = async (pid: number): Promise<void> => {
  process.kill(pid, 'SIGSTOP');
  while (!(await threadStates(pid)).every((state) => state === 'T')) await pause(1);
};
