import { getEventListeners, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type HttpClient, httpClient, type Way } from '../../../runtime/connectors/http-client.ts';
import { type Authority, authority, type Certificate } from '../../cluster/pki.ts';
import { temporaryFolder } from '../../cluster/temporary.ts';
import { startTarget, type Target } from './target.ts';

let folder: string;
let ca: Authority;
let certificate: Certificate;
beforeAll(async () => {
  folder = await temporaryFolder('http-client');
  ca = await authority(folder);
  certificate = await ca.issue({ name: 'erp', commonName: 'erp', names: ['DNS:erp.test'] });
});
afterAll(() => rm(folder, { recursive: true }));

const target = async (options: Parameters<typeof startTarget>[0] = {}): Promise<Target> => {
  const started = await startTarget(options);
  onTestFinished(() => started[Symbol.asyncDispose]());
  return started;
};
const signal = AbortSignal.timeout(30_000);
const local: Way = { address: '127.0.0.1', family: 4 };
interface Opened {
  scheme?: string;
  method?: string;
  timeoutMs?: number;
  findWay?: () => Promise<Way>;
}
const open = async (port: number, { scheme = 'http', method = 'POST', timeoutMs = 0, findWay }: Opened = {}) => {
  const client = await httpClient(method, {
    target: new URL(`${scheme}://erp.test:${port}/`),
    serverName: undefined,
    timeoutMs,
    findWay: findWay ?? (async () => local),
  });
  onTestFinished(() => client.close());
  return client;
};
const send = async (client: HttpClient, until = signal): Promise<number | undefined> => {
  const answer = await client.exchange({ 'idempotency-key': 'k' }, Buffer.from('body'), until);
  await buffer(answer);
  return answer.statusCode;
};
/** Resolves when the agent has the connection back, which is after the caller has the end of the answer. */
const idle = () => new Promise<void>((resolve) => setImmediate(resolve));

describe.each(['http', 'https'])('%s: a connection that the server closes', (scheme) => {
  const opened = async (port: number) => {
    const way = async () => (scheme === 'https' ? { ...local, ca: readFileSync(ca.ca, 'utf8') } : local);
    return await open(port, { scheme, findWay: way });
  };
  const server = async () => await target(scheme === 'https' ? { tls: certificate } : {});

  test('when it was idle: the request goes out once more, on a new one', async () => {
    const erp = await server();
    const client = await opened(erp.port);
    await send(client);
    await idle();
    erp.answer = (response) => (erp.seen.length === 2 ? response.destroy() : response.writeHead(204).end());
    expect(await send(client)).toBe(204);
    expect([erp.seen.length, erp.connections()]).toEqual([3, 2]);
  });

  test('each time: it goes out twice, no more', async () => {
    const erp = await server();
    const client = await opened(erp.port);
    await send(client);
    await idle();
    erp.answer = (response) => response.destroy();
    await expect(send(client)).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect([erp.seen.length, erp.connections()]).toEqual([3, 2]);
  });

  test('when it was new: that was no race, the request may have done its work', async () => {
    const erp = await server();
    erp.answer = (response) => response.destroy();
    await expect(send(await opened(erp.port))).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect([erp.seen.length, erp.connections()]).toEqual([1, 1]);
  });

  test('after the first bytes of an answer: the request was received', async () => {
    const erp = await server();
    const client = await opened(erp.port);
    await send(client);
    await idle();
    erp.answer = (response) => response.socket?.write('HTTP/1.1 2', () => response.socket?.destroy());
    await expect(send(client)).rejects.toThrow();
    expect([erp.seen.length, erp.connections()]).toEqual([2, 1]);
  });
});

describe('the way', () => {
  test('is asked for by each new connection, and not for those at hand', async () => {
    const erp = await target();
    const findWay = vi.fn(async () => local);
    const client = await open(erp.port, { findWay });
    for (let count = 0; count < 5; count += 1) {
      await send(client);
      await idle();
    }
    expect([findWay.mock.calls.length, erp.connections()]).toEqual([1, 1]);
    erp.answer = (response) => response.writeHead(204, { connection: 'close' }).end();
    for (let count = 0; count < 3; count += 1) {
      await send(client);
      await idle();
    }
    expect([findWay.mock.calls.length, erp.connections()]).toEqual([3, 3]);
  });

  test('that changed is followed, though a connection to the former address is idle', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const former = await target();
    const latter = await target({ host: '127.0.0.2', port: former.port });
    let way: Way = local;
    const client = await open(former.port, { findWay: async () => way });
    await send(client);
    await idle();
    way = { address: '127.0.0.2', family: 4 };
    vi.advanceTimersByTime(9_000);
    await send(client);
    await idle();
    expect([former.seen.length, latter.seen.length]).toEqual([2, 0]);
    vi.advanceTimersByTime(2_000);
    await send(client);
    expect([former.seen.length, latter.seen.length]).toEqual([2, 1]);
  });

  test('is not waited for longer than the attempt lasts', async () => {
    const client = await open(1, { findWay: () => new Promise(() => undefined) });
    await expect(send(client, AbortSignal.timeout(50))).rejects.toMatchObject({ name: 'TimeoutError' });
  });
});

describe('time', () => {
  test('a server that accepts and says nothing is no TLS session', async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const client = await open((silent.address() as AddressInfo).port, { scheme: 'https', timeoutMs: 100 });
    await expect(send(client)).rejects.toMatchObject({ code: 'ETIMEDOUT', message: 'no connection within 100 ms' });
  });

  test.each(['new', 'kept'])('no answer on a %s connection', async (kind) => {
    const erp = await target();
    const client = await open(erp.port, { timeoutMs: 100 });
    if (kind === 'kept') await send(client);
    await idle();
    erp.answer = () => undefined;
    await expect(send(client)).rejects.toMatchObject({ code: 'ETIMEDOUT', message: 'no answer within 100 ms' });
    expect(erp.connections()).toBe(1);
  });

  test.each<[why: string, timeoutMs: number, until: () => AbortSignal]>([
    ['the time-out', 100, () => signal],
    ['the attempt', 0, () => AbortSignal.timeout(100)],
  ])('an answer that does not end breaks off with %s', async (_why, timeoutMs, until) => {
    const erp = await target();
    erp.answer = (response) => response.writeHead(200).write('so');
    const answer = await (await open(erp.port, { timeoutMs })).exchange({}, Buffer.from(''), until());
    await expect(buffer(answer)).rejects.toThrow();
  });
});

test('no more than 256 connections; the others wait for their turn', async () => {
  const erp = await target();
  const client = await open(erp.port);
  const statuses = await Promise.all(Array.from({ length: 300 }, () => send(client)));
  expect(new Set(statuses)).toEqual(new Set([204]));
  expect(erp.seen).toHaveLength(300);
  expect(erp.connections()).toBeLessThanOrEqual(256);
});

test('a closed client finishes what is under way, and keeps no connection', async () => {
  const erp = await target();
  const client = await open(erp.port);
  await Promise.all([send(client), send(client)]);
  await idle();
  const asked = Promise.withResolvers<() => void>();
  erp.answer = (response) => asked.resolve(() => response.writeHead(204).end());
  const sent = send(client);
  const answer = await asked.promise;
  client.close();
  answer();
  expect(await sent).toBe(204);
  await expect.poll(() => erp.open()).toBe(0);
});

test('a body is framed by its length, even one of no bytes', async () => {
  const erp = await target();
  const client = await open(erp.port, { method: 'DELETE' });
  await buffer(await client.exchange({}, new Uint8Array(), signal));
  expect(erp.seen[0]).toMatchObject({ method: 'DELETE', body: '', headers: { 'content-length': '0' } });
  expect(erp.seen[0]?.headers).not.toHaveProperty('transfer-encoding');
});

test('a line break in a header is refused before anything is sent', async () => {
  const erp = await target();
  const client = await open(erp.port);
  const sent = client.exchange({ 'x-a': 'a\r\nx-b: c' }, Buffer.from(''), signal);
  await expect(sent).rejects.toMatchObject({ code: 'ERR_INVALID_CHAR' });
  expect(erp.seen).toHaveLength(0);
});

test('nothing of a request stays on the signal', async () => {
  const erp = await target();
  const client = await open(erp.port);
  const { signal: until } = new AbortController();
  for (let count = 0; count < 3; count += 1) await send(client, until);
  await expect.poll(() => getEventListeners(until, 'abort').length).toBe(0);
});
