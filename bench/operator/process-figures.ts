import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

/* What the kernel says about a process: nothing that the process itself would have to be asked for. */

/** Of USER_HZ, which is 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

/** User and system time of all its threads so far. */
export const cpuSeconds = (pid: number): number => {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name of the program may hold spaces and brackets.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
};

export const residentMebibytes = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

/** Local ports of the process's connections to a port. */
const portsTo = (pid: number, remotePort: number): number[] => {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return [];
      }
    }),
  );
  const remote = `:${remotePort.toString(16).toUpperCase().padStart(4, '0')}`;
  return ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/net/${table}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[2]?.endsWith(remote) && inodes.has(fields[9] ?? ''))
      .map((fields) => Number.parseInt(fields[1]?.split(':')[1] ?? '', 16)),
  );
};

/** Never resolves; rejects with the last of the log when the process is gone. */
export const ended = (pid: number, logFile: string): Promise<never> =>
  new Promise((_resolve, reject) => {
    const timer = setInterval(() => {
      if (existsSync(`/proc/${pid}/fd`)) return;
      clearInterval(timer);
      reject(
        new Error(`the operator has ended: ${readFileSync(logFile, 'utf8').trim().split('\n').slice(-3).join('\n')}`),
      );
    }, 250);
    timer.unref();
  });

/** Counts every connection that the process opens to a port, also those that it closes again. */
export const countConnections = (pid: number, remotePort: number): { seen: () => number; stop: () => void } => {
  const ports = new Set<number>();
  const look = () => {
    if (!existsSync(`/proc/${pid}/fd`)) return;
    for (const port of portsTo(pid, remotePort)) ports.add(port);
  };
  const timer = setInterval(look, 250);
  return { seen: () => ports.size, stop: () => clearInterval(timer) };
};
