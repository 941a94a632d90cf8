import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NodeLayout } from './layout.ts';

const root = '/sys/fs/cgroup';

/** Roots of the hierarchies: one with cgroup v2, one for each controller with v1. */
const hierarchies = async (): Promise<string[]> => {
  if (existsSync(join(root, 'cgroup.controllers'))) return [root];
  return (await readdir(root)).map((controller) => join(root, controller));
};

/** The node's own cgroup: the kubelet puts all pods below it, so that they can be found and ended as one. */
export const ensureCgroup = async ({ name }: NodeLayout): Promise<void> => {
  for (const hierarchy of await hierarchies()) {
    const group = join(hierarchy, name);
    if (hierarchy === root) {
      const controllers = (await readFile(join(root, 'cgroup.controllers'), 'utf8')).trim().split(' ');
      await writeFile(
        join(root, 'cgroup.subtree_control'),
        controllers.map((controller) => `+${controller}`).join(' '),
      );
    }
    await mkdir(group, { recursive: true });
    // cpuset v1: a new group has no processors, and no process may enter it.
    for (const file of ['cpuset.cpus', 'cpuset.mems'])
      if (hierarchy !== root && existsSync(join(group, file)))
        await writeFile(join(group, file), await readFile(join(hierarchy, file), 'utf8'));
  }
};

const below = async (group: string): Promise<string[]> => {
  if (!existsSync(group)) return [];
  const entries = await readdir(group, { withFileTypes: true });
  const nested = await Promise.all(
    entries.filter((entry) => entry.isDirectory()).map((entry) => below(join(group, entry.name))),
  );
  return [...nested.flat(), group];
};

/** The node's groups, children before parents. */
const groupsOf = async ({ name }: NodeLayout): Promise<string[]> => {
  const all = await Promise.all((await hierarchies()).map((hierarchy) => below(join(hierarchy, name))));
  return all.flat();
};

/** Processes of all pods. */
export const podProcesses = async (layout: NodeLayout): Promise<number[]> => {
  const pids = new Set<number>();
  for (const group of await groupsOf(layout)) {
    const listed = await readFile(join(group, 'cgroup.procs'), 'utf8').catch(() => '');
    for (const line of listed.split('\n')) if (line) pids.add(Number(line));
  }
  return [...pids];
};

/** Removes the groups; true when none is left. A group whose last process just ended may need another try. */
export const removeCgroup = async (layout: NodeLayout): Promise<boolean> => {
  for (const group of await groupsOf(layout)) await rmdir(group).catch(() => {});
  return (await groupsOf(layout)).length === 0;
};
