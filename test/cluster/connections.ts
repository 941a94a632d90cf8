import { readdir, readFile, readlink } from 'node:fs/promises';

const established = '01';

/** Sockets of this machine that are connected to a port of it, as /proc names them. */
const socketsTo = async (port: number): Promise<ReadonlySet<string>> => {
  const remote = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = (await readFile('/proc/net/tcp', 'utf8')).split('\n').map((row) => row.trim().split(/\s+/));
  const found = rows.filter(([, , to, state]) => to?.endsWith(remote) && state === established);
  return new Set(found.map((row) => `socket:[${row[9]}]`));
};

/** `pid command` of every process that holds a connection to that port of this machine; the server's own to itself do not count. */
export const clientsOf = async (port: number, server: number): Promise<string[]> => {
  const sockets = await socketsTo(port);
  if (sockets.size === 0) return [];
  const clients: string[] = [];
  for (const pid of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry) && Number(entry) !== server)) {
    // Ended meanwhile, or another user's.
    const open = await readdir(`/proc/${pid}/fd`).catch(() => []);
    const links = await Promise.all(open.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
    if (!links.some((link) => sockets.has(link))) continue;
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    clients.push(`${pid} ${command.replaceAll('\0', ' ').trim().slice(0, 200)}`);
  }
  return clients;
};
