import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const prefix = 'kanava-test-';

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

// Another user's, or one that another process removes right now.
const removeIfOurs = (path: string): Promise<void> => rm(path, { recursive: true, force: true }).catch(() => {});

/** Those of processes that have ended. */
export const removeTemporaryFolders = async (): Promise<void> => {
  for (const entry of await readdir(tmpdir())) {
    const owner = entry.startsWith(prefix) ? Number(entry.slice(prefix.length).split('-')[0]) : 0;
    if (owner > 0 && !isAlive(owner)) await removeIfOurs(join(tmpdir(), entry));
  }
};

/** A new empty folder. Its name carries our pid, so that a later run can remove what a killed one left behind. */
export const temporaryFolder = async (name: string): Promise<string> => {
  await removeTemporaryFolders();
  return mkdtemp(join(tmpdir(), `${prefix}${process.pid}-${name}-`));
};
