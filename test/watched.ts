import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { killAll } from './cluster/node/processes.ts';

export interface Watched {
  readonly code: number;
  /** Command lines of what was still there when it should have ended; killed. */
  readonly left: readonly string[];
}
interface Options {
  readonly env: NodeJS.ProcessEnv;
  /** It is written when all work is done. Its path also marks what belongs to the command, in the environment of all of it. */
  readonly report: string;
  /** How long the command may take to end after its report. */
  readonly graceMs?: number;
}

const mark = 'KANAVA_TEST_REPORT';
const belongingTo = async (report: string): Promise<{ pid: number; line: string }[]> => {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const read = (pid: string, file: string) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');
  const all = await Promise.all(
    pids.map(async (pid) => ({
      pid: Number(pid),
      isOurs: (await read(pid, 'environ')).split('\0').includes(`${mark}=${report}`),
      line: (await read(pid, 'cmdline')).replaceAll('\0', ' ').trim(),
    })),
  );
  return all.filter(({ isOurs }) => isOurs);
};

/**
 * Runs a command that must end soon after it has written its report. Vitest waits for as long as anybody holds the output of its processes:
 * one program that a failed test left behind would stop a run for good. It is killed and told instead.
 */
export const runWatched = (
  command: string,
  args: readonly string[],
  { env, report, graceMs = 60_000 }: Options,
): Promise<Watched> =>
  new Promise((done, fail) => {
    const left: string[] = [];
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'], env: { ...env, [mark]: report } });
    const others = async () => (await belongingTo(report)).filter(({ pid }) => pid !== child.pid);
    const killWhatIsLeft = async () => {
      const found = await others();
      left.push(...found.map(({ line }) => line));
      if (found.length === 0) child.kill('SIGKILL');
      else await killAll('what the tests left behind', async () => (await others()).map(({ pid }) => pid));
    };
    let writtenAt: number | undefined;
    const watch = setInterval(
      () => {
        writtenAt ??= existsSync(report) ? performance.now() : undefined;
        if (writtenAt === undefined || performance.now() - writtenAt < graceMs) return;
        writtenAt = performance.now();
        killWhatIsLeft().catch(fail);
      },
      Math.min(1_000, graceMs),
    );
    child.on('error', fail);
    child.on('close', (code) => {
      clearInterval(watch);
      done({ code: code ?? 1, left });
    });
  });
