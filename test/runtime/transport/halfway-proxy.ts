import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** Between a client and a real nats-server: loses connections, also new ones as soon as the server has greeted, as one that is killed while it starts does. */
export interface HalfwayProxy {
  readonly url: string;
  /** Ends all connections, and this many of the next ones when the server has greeted. */
  lose(greeted: number): void;
  readonly lost: () => number;
  close(): void;
}

export const startHalfwayProxy = async (target: string): Promise<HalfwayProxy> => {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let left = 0;
  let lost = 0;
  const server = createServer((client) => {
    const broker = connect(Number(port), hostname);
    sockets.add(client).add(broker);
    client.on('error', () => undefined).on('close', () => broker.destroy());
    broker.on('error', () => undefined).on('close', () => client.destroy());
    client.pipe(broker);
    if (left === 0) return void broker.pipe(client);
    left -= 1;
    broker.once('data', (greeting: Buffer) => {
      lost += 1;
      client.end(greeting);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const endAll = () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  return {
    url: `nats://127.0.0.1:${(server.address() as AddressInfo).port}`,
    lose(greeted) {
      left = greeted;
      endAll();
    },
    lost: () => lost,
    close() {
      endAll();
      server.close();
    },
  };
};
