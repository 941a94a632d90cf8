import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { HttpRequest } from '../../../runtime/connector.ts';
import { createListener } from '../../../runtime/gateway/listener.ts';
import { silent } from '../steps/harness.ts';
import { longestStallMs, longestTurnOf } from './spent.ts';

/*
 * 100 MB from a stranger: refused with a reason, and never held, with or without a length that says so; what others send meanwhile does not wait.
 */
const mebibyte = 1024 * 1024;
const huge = 100 * mebibyte;
const limit = mebibyte;
/** What is read and dropped, so that the sender sees the answer, and what lies in buffers. */
const mostRead = 16 * mebibyte;

let handled: HttpRequest[] = [];
/** What a route does with a message. */
let work = () => {};
/** By the port of the sender. */
const sockets = new Map<number | undefined, Socket>();
const listener = createListener({
  find: (path) =>
    path === '/orders/in'
      ? {
          path,
          methods: ['POST'],
          maxBytes: limit,
          async handle(request) {
            handled.push(request);
            work();
            return { status: 202 };
          },
        }
      : undefined,
  ready: () => true,
  maxBytes: () => limit,
  answered: () => undefined,
  log: silent,
});
beforeAll(async () => {
  listener.server.on('connection', (socket: Socket) => sockets.set(socket.remotePort, socket));
  await listener.listen({ port: 0, host: '127.0.0.1' });
  // What runs for the first time is compiled: that is nobody's message.
  await post();
});
afterAll(() => listener.close());
beforeEach(() => {
  handled = [];
  work = () => {};
});

const port = () => (listener.server.address() as AddressInfo).port;

/** Sends as much as the other side takes; what it answered, and the bytes that it read. */
const send = async (framing: string, chunk: Buffer, total: number): Promise<{ status: string; read: number }> => {
  const socket = connect({ port: port(), host: '127.0.0.1' });
  let received = '';
  socket.on('data', (part) => (received += part.toString('latin1')));
  socket.on('error', () => undefined);
  // Being cut off is what is expected: no error.
  const happens = (event: string) => new Promise((resolve) => socket.once(event, resolve));
  const closed = happens('close');
  await once(socket, 'connect');
  const other = sockets.get(socket.localPort);
  socket.write(`POST /orders/in HTTP/1.1\r\nHost: gateway\r\n${framing}\r\n\r\n`);
  for (let sent = 0; sent < total && !socket.destroyed; sent += chunk.length)
    if (!socket.write(chunk)) await Promise.race([happens('drain'), closed]);
  socket.end();
  await closed;
  return { status: /^HTTP\/1.1 (\d+)/.exec(received)?.[1] ?? 'none', read: other?.bytesRead ?? 0 };
};
const piece = Buffer.alloc(64 * 1024, 0x20);
const chunk = Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]);

const post = async (): Promise<number> =>
  (await fetch(`http://127.0.0.1:${port()}/orders/in`, { method: 'POST', body: '{}' })).status;

/** Small messages, one after the other, as long as `big` takes; at least one of them. */
const besides = async <T>(big: Promise<T>): Promise<{ big: T; others: readonly number[] }> => {
  const state = { isOver: false };
  const ended = big.finally(() => {
    state.isOver = true;
  });
  const others: number[] = [];
  do others.push(await post());
  while (!state.isOver);
  return { big: await ended, others };
};

it.each([
  ['that says how long it is', `Content-Length: ${huge}`, piece],
  ['that does not say it', 'Transfer-Encoding: chunked', chunk],
])('a body of 100 MB %s', { timeout: 120_000 }, async (_, framing, bytes) => {
  const { result, turnMs } = await longestTurnOf(() => besides(send(framing, bytes, huge)));
  const { status, read } = result.big;
  // Who goes on sending may be cut off before it reads the answer.
  expect(status).toMatch(/^(413|none)$/);
  expect(read).toBeLessThan(mostRead);
  expect(new Set(result.others)).toEqual(new Set([202]));
  expect(handled.map(({ body: { length } }) => length)).toEqual(result.others.map(() => 2));
  expect(turnMs).toBeLessThan(longestStallMs);
});

it('many of them at once: the others do not wait', { timeout: 120_000 }, async () => {
  const all = () => Promise.all(Array.from({ length: 20 }, () => send('Transfer-Encoding: chunked', chunk, huge)));
  const { result, turnMs } = await longestTurnOf(() => besides(all()));
  for (const { status, read } of result.big) {
    expect(status).toMatch(/^(413|none)$/);
    expect(read).toBeLessThan(mostRead);
  }
  expect(new Set(result.others)).toEqual(new Set([202]));
  expect(turnMs).toBeLessThan(longestStallMs);
});

it('control: a body within the limit is read and handed on', { timeout: 120_000 }, async () => {
  const body = Buffer.alloc(limit, 0x20);
  const { status, read } = await send(`Content-Length: ${limit}\r\nConnection: close`, body, limit);
  expect(status).toBe('202');
  expect(read).toBeGreaterThan(limit);
  expect(handled.map(({ body: { length } }) => length)).toEqual([limit]);
});

it('control: a message whose work does not let the others go on is seen', { timeout: 120_000 }, async () => {
  work = () => {
    work = () => {};
    const before = process.threadCpuUsage();
    while (process.threadCpuUsage(before).user < 2 * longestStallMs * 1_000) JSON.parse(`[${'1,'.repeat(10_000)}1]`);
  };
  const small = 'Content-Length: 2\r\nConnection: close';
  const { result, turnMs } = await longestTurnOf(() => besides(send(small, Buffer.from('{}'), 2)));
  expect(result.big.status).toBe('202');
  expect(turnMs).toBeGreaterThan(longestStallMs);
});
