import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Does `work` while nobody else on this machine holds `path`. The lock belongs to the kernel (flock) and to a child that
 * ends with its input, so it is free again however this process dies.
 */
export const withLock = async <T>(path: string, work: () => Promise<T>): Promise<T> => {
  await mkdir(dirname(path), { recursive: true });
  const holder = spawn('flock', ['--exclusive', path, 'sh', '-c', 'echo held; exec cat >/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => {
    holder.once('close', () => resolve());
  });
  await new Promise<void>((resolve, reject) => {
    holder.stdout.once('data', () => resolve());
    holder.once('error', (cause) =>
      reject(new Error(`Cannot lock ${path}: flock (Debian: util-linux) is missing`, { cause })),
    );
    holder.once('exit', (code) => reject(new Error(`Cannot lock ${path}: flock ended with ${code}`)));
  });
  try {
    return await work();
  } finally {
    holder.stdin.end();
    await ended;
  }
};
