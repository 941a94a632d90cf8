import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Gateway } from '../../../runtime/gateway/gateway.ts';
import { startTenant, type TestTenant } from './tenant.ts';

let world: TestTenant;
let gateway: Gateway & { url: string };
beforeAll(async () => {
  world = await startTenant();
  gateway = await world.gateway();
  await world.inbox('orders');
  await world.secret('shop', 'token', 'right');
  await world.route('orders', [
    { name: 'open', http: { path: '/open', maxBytes: 1024, headers: ['constructor', 'x-kept'] } },
    { name: 'in', http: { path: '/in', auth: { bearer: { secretKeyRef: { name: 'shop', key: 'token' } } } } },
  ]);
});
afterAll(() => world[Symbol.asyncDispose]());

/** Sends the bytes as they are and returns all that comes back until the other side closes (or `count` answers came). */
const raw = async (text: string, { count = 1, end = false } = {}): Promise<string> => {
  const socket = connect({ port: gateway.port, host: '127.0.0.1' });
  await once(socket, 'connect');
  let received = '';
  socket.on('data', (part) => {
    received += part.toString('latin1');
    if (received.split('HTTP/1.1 ').length > count) socket.end();
  });
  socket.on('error', () => undefined);
  socket.write(Buffer.from(text, 'latin1'));
  if (end) socket.end();
  await once(socket, 'close');
  return received;
};
const lines = (...all: string[]) => `${all.join('\r\n')}\r\n\r\n`;
const host = 'Host: gateway';
const stored = async () => (await world.manager.streams.info('inbox_orders')).state.last_seq;

test.each<[why: string, bytes: string, answer: RegExp]>([
  ['a path that climbs', lines('POST /orders/../orders/open HTTP/1.1', host, 'Content-Length: 0'), /^HTTP\/1.1 404/],
  ['an encoded climb', lines('POST /x/%2e%2e/orders/open HTTP/1.1', host, 'Content-Length: 0'), /^HTTP\/1.1 404/],
  ['a double slash', lines('POST //orders/open HTTP/1.1', host, 'Content-Length: 0'), /^HTTP\/1.1 404/],
  ['a slash too many', lines('POST /orders/open/ HTTP/1.1', host, 'Content-Length: 0'), /^HTTP\/1.1 404/],
  ['an absolute URL', lines('POST http://else/orders/open HTTP/1.1', host, 'Content-Length: 0'), /^HTTP\/1.1 404/],
  [
    'a name of every object',
    lines('POST /constructor/__proto__ HTTP/1.1', host, 'Content-Length: 0'),
    /^HTTP\/1.1 404/,
  ],
  ['a zero byte', lines('POST /orders/open\0 HTTP/1.1', host, 'Content-Length: 0'), /^HTTP\/1.1 400/],
  [
    'two framings, the way to smuggle a request',
    `${lines('POST /orders/open HTTP/1.1', host, 'Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
    /^HTTP\/1.1 400/,
  ],
  [
    'two lengths',
    `${lines('POST /orders/open HTTP/1.1', host, 'Content-Length: 1', 'Content-Length: 2')}ab`,
    /^HTTP\/1.1 400/,
  ],
  [
    'an unknown framing',
    lines('POST /orders/open HTTP/1.1', host, 'Transfer-Encoding: x, chunked, y'),
    /^HTTP\/1.1 400/,
  ],
  [
    'a broken chunk',
    `${lines('POST /orders/open HTTP/1.1', host, 'Transfer-Encoding: chunked')}zz\r\n`,
    /^HTTP\/1.1 400/,
  ],
  ['a header with a bare line feed', lines('POST /orders/open HTTP/1.1', host, 'X: a\nY: b'), /^HTTP\/1.1 400/],
  ['headers without end', lines('POST /orders/open HTTP/1.1', host, `X: ${'x'.repeat(20_000)}`), /^HTTP\/1.1 431/],
  ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', /^HTTP\/1.1 400/],
  [
    'chunks beyond the limit, in small pieces',
    `${lines('POST /orders/open HTTP/1.1', host, 'Transfer-Encoding: chunked')}${`64\r\n${'x'.repeat(100)}\r\n`.repeat(20)}`,
    /^HTTP\/1.1 413/,
  ],
  ['a length that lies', lines('POST /orders/open HTTP/1.1', host, 'Content-Length: 99999999999'), /^HTTP\/1.1 413/],
  [
    'the right token after a wrong one',
    lines(
      'POST /orders/in HTTP/1.1',
      host,
      'Authorization: Bearer wrong',
      'Authorization: Bearer right',
      'Content-Length: 0',
    ),
    /^HTTP\/1.1 401/,
  ],
  [
    'an event attribute that is no name',
    lines('POST /orders/open HTTP/1.1', host, 'ce-specversion: 1.0', 'ce-__proto__: x', 'Content-Length: 0'),
    /^HTTP\/1.1 400/,
  ],
])('%s: refused, nothing stored, and the gateway goes on', async (_why, bytes, answer) => {
  const before = await stored();
  const received = await raw(bytes);
  expect(received).toMatch(answer);
  expect(received).toContain('application/problem+json');
  expect(await stored()).toBe(before);
  expect((await fetch(`${gateway.url}/orders/open`, { method: 'POST' })).status).toBe(202);
});

test('no host: Node itself refuses', async () => {
  expect(await raw(lines('POST /orders/open HTTP/1.1', 'Content-Length: 0'))).toMatch(/^HTTP\/1.1 400/);
});

test('headers arrive slowly: cut off with 408', async () => {
  expect(await raw(`POST /orders/open HTTP/1.1\r\n${host}\r\nX-Slow: `)).toMatch(/^HTTP\/1.1 408/);
});

test('a sender that goes away in the middle of a body stores nothing', async () => {
  const before = await stored();
  await raw(`${lines('POST /orders/open HTTP/1.1', host, 'Content-Length: 100')}half`, { end: true });
  expect((await fetch(`${gateway.url}/orders/open`, { method: 'POST' })).status).toBe(202);
  expect(await stored()).toBe(before + 1);
});

test('two requests in one piece are two requests', async () => {
  const one = `${lines('POST /orders/open HTTP/1.1', host, 'Content-Length: 2')}ab`;
  const received = await raw(one + one, { count: 2 });
  expect(received.match(/HTTP\/1.1 202/g)).toHaveLength(2);
});

test('headers that steer the broker or name object members are only text', async () => {
  await raw(
    lines(
      'POST /orders/open HTTP/1.1',
      host,
      'Content-Length: 0',
      'Nats-Rollup: all',
      'NATS-TTL: 1s',
      'Nats-Expected-Last-Sequence: 999',
      'constructor: a',
      'X-Kept: b\xe4',
      '__proto__: c',
    ),
  );
  const message = (await world.stored('orders')).at(-1);
  expect(message?.headers).toEqual({ constructor: 'a', 'x-kept': 'bä' });
  const names = Object.keys(message?.rawHeaders ?? {}).filter((name) => /^nats-/i.test(name));
  expect(names).toEqual(['Nats-Msg-Id']);
});
