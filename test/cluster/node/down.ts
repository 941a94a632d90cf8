import { readdir, readFile, readlink, rm, unlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { mustRun } from '../command.ts';
import { podProcesses, removeCgroup } from './cgroups.ts';
import { podNetworkName } from './config.ts';
import { type NodeLayout, pathsOf } from './layout.ts';
import { removeNetwork } from './network.ts';
import { killAll, namespaceOf, nodeProcesses, processesIn } from './processes.ts';

const list = (folder: string): Promise<string[]> => readdir(folder).catch(() => []);

/** Kills those of the node's processes that `which` says; all without. */
const killServers = (layout: NodeLayout, which: (name: string) => boolean = () => true): Promise<void> =>
  killAll(`processes of ${layout.state}`, async () =>
    (await nodeProcesses(layout)).filter(({ argv }) => which(basename(argv[0] ?? ''))).map(({ pid }) => pid),
  );

const unmountAll = async ({ state }: NodeLayout): Promise<void> => {
  const mounts = (await readFile('/proc/self/mounts', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[1]?.replaceAll('\\040', ' ') ?? '')
    .filter((path) => path.startsWith(`${state}/`));
  for (const path of mounts.reverse()) await mustRun('umount', ['--lazy', path]);
};

/** What CNI remembers about our pods; its folder is fixed. The loopback's records carry the same container id. */
const removeNetworkRecords = async (layout: NodeLayout): Promise<void> => {
  const folder = '/var/lib/cni/results';
  const records = await list(folder);
  const prefix = `${podNetworkName(layout)}-`;
  const ids = records.filter((file) => file.startsWith(prefix)).map((file) => file.slice(prefix.length).split('-')[0]);
  for (const file of records)
    if (ids.some((id) => id && file.includes(id))) await rm(join(folder, file), { force: true });
};

/** The kubelet links every container's log from a fixed folder. */
const removeLogLinks = async ({ state }: NodeLayout): Promise<void> => {
  const folder = '/var/log/containers';
  for (const file of await list(folder)) {
    const target = await readlink(join(folder, file)).catch(() => '');
    if (target.startsWith(`${state}/`)) await unlink(join(folder, file));
  }
};

/** Sockets of the shims, in a folder that cannot be chosen; a killed shim leaves its own behind. */
export const shimSockets = async (layout: NodeLayout): Promise<string[]> => {
  const { containers } = pathsOf(layout);
  const files = await readdir(containers, { recursive: true }).catch(() => []);
  const addresses = await Promise.all(
    files
      .filter((file) => basename(file) === 'bootstrap.json')
      .map(async (file) => JSON.parse(await readFile(join(containers, file), 'utf8')) as { address: string }),
  );
  return [...new Set(addresses.map(({ address }) => address.replace('unix://', '')))];
};

/**
 * Ends everything that a node consists of and leaves nothing but keys, images and logs: no process, mount, namespace, link,
 * route or cgroup. Safe at any time, also for what is half there.
 */
export const removeNode = async (layout: NodeLayout): Promise<void> => {
  // The kubelet first: it would start pods again.
  await killServers(layout, (name) => name.startsWith('kubelet-v'));
  await killServers(layout);
  // What the servers had started outlives them.
  const namespace = await namespaceOf(layout);
  if (namespace) await killAll(`processes in ${layout.name}`, () => processesIn(namespace));
  // Containers outlive their shims.
  await killAll(`pods of ${layout.name}`, () => podProcesses(layout));
  await unmountAll(layout);
  await removeNetwork(layout);
  const deadline = performance.now() + 5000;
  while (!(await removeCgroup(layout))) {
    if (performance.now() > deadline)
      throw new Error(`The cgroup ${layout.name} cannot be removed: something runs in it`);
    await delay(20);
  }
  await removeNetworkRecords(layout);
  await removeLogLinks(layout);
  for (const socket of await shimSockets(layout)) await rm(socket, { force: true });
  const { etcd, kubelet, containers, addresses, podLogs, volumes, run } = pathsOf(layout);
  for (const folder of [etcd, kubelet, containers, addresses, podLogs, volumes, run])
    await rm(folder, { recursive: true, force: true });
};
