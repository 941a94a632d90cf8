import { randomInt } from 'node:crypto';
import { connect, createServer } from 'node:net';

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });

/**
 * Keeps a port for this process until it ends. The record is the kernel's, a socket without a file: nothing is left behind by a
 * process that is killed, and each network namespace has its own.
 */
export const reserve = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const record = createServer().unref();
    record.once('error', () => resolve(false));
    record.listen({ path: `\0kanava-port-${port}` }, () => resolve(true));
  });

/**
 * A free TCP port below the range that outgoing connections get theirs from, and nobody else's who asked here: a server that is stopped
 * and started again finds it free, and a client that keeps reconnecting meanwhile cannot connect to itself.
 */
export const freePort = async (): Promise<number> => {
  for (let tries = 0; tries < 100; tries += 1) {
    const port = randomInt(10_000, 32_000);
    if ((await reserve(port)) && (await isFree(port))) return port;
  }
  throw new Error('No free port between 10000 and 32000 on 127.0.0.1 in 100 tries');
};

/** Whether something accepts there; with `greeting`, whether the first bytes it sends start with that. */
export const accepts = (port: number, { host = '127.0.0.1', greeting = '', timeout = 1000 } = {}): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(timeout, () => end(false));
    socket.once('error', () => end(false));
    socket.once('close', () => end(false));
    socket.once('connect', () => {
      if (!greeting) end(true);
    });
    socket.once('data', (data) => end(data.toString('latin1').startsWith(greeting)));
  });
