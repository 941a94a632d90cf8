import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { HttpRequest } from '../../../runtime/connector.ts';
import { createListener } from '../../../runtime/gateway/listener.ts';
import { silent } from '../steps/harness.ts';

/* 100 MB from a stranger: refused with a reason, and never held, with or without a length that says so. */
const mebibyte = 1024 * 1024;
const huge = 100 * mebibyte;
const limit = mebibyte;
/** What is read and dropped, so that the sender sees the answer, and what lies in buffers. */
const mostRead = 16 * mebibyte;

const handled: HttpRequest[] = [];
const sockets: Socket[] = [];
const listener = createListener({
  find: (path) =>
    path === '/orders/in'
      ? {
          path,
          methods: ['POST'],
          maxBytes: limit,
          async handle(request) {
            handled.push(request);
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
  listener.server.on('connection', (socket: Socket) => sockets.push(socket));
  await listener.listen({ port: 0, host: '127.0.0.1' });
});
afterAll(() => listener.close());

const port = () => (listener.server.address() as AddressInfo).port;

/** Sends as much as the other side takes; what it answered, and the bytes that it read. */
const send = async (framing: string, chunk: Buffer, total: number): Promise<{ status: string; read: number }> => {
  const before = sockets.length;
  const socket = connect({ port: port(), host: '127.0.0.1' });
  let received = '';
  socket.on('data', (part) => (received += part.toString('latin1')));
  socket.on('error', () => undefined);
  // Being cut off is what is expected: no error.
  const happens = (event: string) => new Promise((resolve) => socket.once(event, resolve));
  const closed = happens('close');
  await once(socket, 'connect');
  socket.write(`POST /orders/in HTTP/1.1\r\nHost: gateway\r\n${framing}\r\n\r\n`);
  for (let sent = 0; sent < total && !socket.destroyed; sent += chunk.length)
    if (!socket.write(chunk)) await Promise.race([happens('drain'), closed]);
  socket.end();
  await closed;
  return { status: /^HTTP\/1.1 (\d+)/.exec(received)?.[1] ?? 'none', read: sockets[before]?.bytesRead ?? 0 };
};
const piece = Buffer.alloc(64 * 1024, 0x20);
const chunk = Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]);

it.each([
  ['that says how long it is', `Content-Length: ${huge}`, piece],
  ['that does not say it', 'Transfer-Encoding: chunked', chunk],
])('a body of 100 MB %s', { timeout: 120_000 }, async (_, framing, bytes) => {
  const { status, read } = await send(framing, bytes, huge);
  // Who goes on sending may be cut off before it reads the answer.
  expect(status).toMatch(/^(413|none)$/);
  expect(read).toBeLessThan(mostRead);
  expect(handled).toEqual([]);
});

it('control: a body within the limit is read and handed on', { timeout: 120_000 }, async () => {
  const body = Buffer.alloc(limit, 0x20);
  const { status, read } = await send(`Content-Length: ${limit}\r\nConnection: close`, body, limit);
  expect(status).toBe('202');
  expect(read).toBeGreaterThan(limit);
  expect(handled.map(({ body: { length } }) => length)).toEqual([limit]);
});
