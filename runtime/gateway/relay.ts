import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Log } from '../connector.ts';
import { reasonOf } from '../errors.ts';

/*
 * A way to NATS for people of the tenant: bytes of this port go to the server and back. It listens on the pod's own loopback, so only who may
 * forward ports of this namespace gets there, and nobody over the network; what they may do is up to their credentials, which pass
 * through inside TLS.
 */
export interface Relay {
  readonly port: number;
  close(): Promise<void>;
}
export interface RelayOptions {
  /** 0: any. */
  readonly port: number;
  /** Holds `nats/url`. */
  readonly folder: string;
  readonly log: Log;
}

/** People, not programs. */
const mostConnections = 16;
const natsPort = 4222;

export const startRelay = async ({ port, folder, log }: RelayOptions): Promise<Relay> => {
  const sockets = new Set<Socket>();
  const lead = async (person: Socket): Promise<void> => {
    const nats = connect(serverIn(folder));
    sockets.add(nats);
    await Promise.all([pipeline(person, nats), pipeline(nats, person)]).finally(() => sockets.delete(nats));
  };
  const server = createServer((person) => {
    sockets.add(person);
    lead(person)
      .catch((error: unknown) => log.warn({ reason: reasonOf(error) }, 'a relayed connection broke'))
      .finally(() => {
        sockets.delete(person);
        person.destroy();
      });
  });
  server.maxConnections = mostConnections;
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
};

/** Read anew each time: it may change. */
const serverIn = (folder: string): { host: string; port: number } => {
  const [first = ''] = readFileSync(join(folder, 'nats', 'url'), 'utf8').split(',');
  const { hostname, port } = new URL(first.trim());
  return { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(port) || natsPort };
};
