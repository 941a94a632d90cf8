import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/*
 * Between a client and a real nats-server: while it is deaf, pulls do not reach the server, and heartbeats answer them all the same. So
 * looks a server that has lost a pull and does not know it.
 */
export interface DeafProxy {
  readonly url: string;
  /** Swallows this many pulls from now on. */
  deaf(pulls: number): void;
  readonly swallowed: () => number;
  readonly heartbeats: () => number;
  close(): void;
}

const heartbeat = 'NATS/1.0 100 Idle Heartbeat\r\n\r\n';

export const startDeafProxy = async (target: string): Promise<DeafProxy> => {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  const timers = new Set<NodeJS.Timeout>();
  let left = 0;
  let swallowed = 0;
  let heartbeats = 0;

  const server = createServer((client) => {
    const broker = connect(Number(port), hostname);
    const subscriptions = new Map<string, string>();
    const answerFor = (reply: string) => {
      const timer = setInterval(() => {
        const sid = subscriptions.get(reply);
        if (sid === undefined || client.destroyed) return;
        heartbeats += 1;
        client.write(`HMSG ${reply} ${sid} ${heartbeat.length} ${heartbeat.length}\r\n${heartbeat}\r\n`);
      }, 500);
      timers.add(timer);
    };
    const toBroker = framed(['PUB', 'HPUB'], (line, frame) => {
      const [verb, subject = '', ...rest] = line.split(' ');
      if (verb === 'SUB') subscriptions.set(subject, rest.at(-1) ?? '');
      if (verb === 'UNSUB') for (const [name, sid] of subscriptions) if (sid === subject) subscriptions.delete(name);
      if (left > 0 && subject.includes('.CONSUMER.MSG.NEXT.')) {
        left -= 1;
        swallowed += 1;
        return answerFor(rest[0] ?? '');
      }
      broker.write(frame);
    });
    const toClient = framed(['MSG', 'HMSG'], (_, frame) => client.write(frame));
    client.on('data', toBroker).on('error', () => undefined);
    broker.on('data', toClient).on('error', () => undefined);
    client.on('close', () => broker.destroy());
    broker.on('close', () => client.destroy());
    sockets.add(client).add(broker);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');

  return {
    url: `nats://127.0.0.1:${(server.address() as AddressInfo).port}`,
    deaf: (pulls) => {
      left = pulls;
    },
    swallowed: () => swallowed,
    heartbeats: () => heartbeats,
    close() {
      for (const timer of timers) clearInterval(timer);
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
};

/** Whole frames only, so that another can be put between two. Verbs with a payload end their line with its length. */
const framed = (withPayload: readonly string[], each: (line: string, frame: Buffer) => void) => {
  let rest = Buffer.alloc(0);
  return (data: Buffer): void => {
    rest = Buffer.concat([rest, data]);
    for (;;) {
      const end = rest.indexOf('\r\n');
      if (end < 0) return;
      const line = rest.toString('latin1', 0, end);
      const payload = withPayload.includes(line.split(' ', 1)[0] ?? '') ? Number(line.split(' ').at(-1)) + 2 : 0;
      const length = end + 2 + payload;
      if (rest.length < length) return;
      each(line, rest.subarray(0, length));
      rest = rest.subarray(length);
    }
  };
};
