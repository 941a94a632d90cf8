import { readFile } from 'node:fs/promises';
import { createServer as createHttp, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Certificate } from '../../cluster/pki.ts';

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly serverName: string | undefined;
}
/** A real HTTP(S) server that remembers what it got and answers as told. */
export interface Target {
  readonly port: number;
  readonly seen: Seen[];
  /** How many connections were made. */
  readonly connections: () => number;
  /** How many of them are open. */
  readonly open: () => number;
  answer: (response: ServerResponse, seen: Seen) => void;
  [Symbol.asyncDispose](): Promise<void>;
}

export const startTarget = async (
  options: { tls?: Certificate; host?: string; port?: number } = {},
): Promise<Target> => {
  const seen: Seen[] = [];
  let connections = 0;
  let open = 0;
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    let body = '';
    for await (const part of request) body += String(part);
    const { servername } = request.socket as TLSSocket & { servername?: string };
    const got = {
      method: request.method ?? '',
      url: request.url ?? '',
      headers: request.headers,
      body,
      serverName: servername || undefined,
    };
    seen.push(got);
    target.answer(response, got);
  };
  const listener = (request: IncomingMessage, response: ServerResponse) => void handle(request, response);
  const server: Server = options.tls
    ? createHttps({ cert: await readFile(options.tls.cert), key: await readFile(options.tls.key) }, listener)
    : createHttp(listener);
  server.on('connection', (socket) => {
    connections += 1;
    open += 1;
    socket.once('close', () => {
      open -= 1;
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, options.host ?? '127.0.0.1', resolve);
  });
  const target: Target = {
    port: (server.address() as AddressInfo).port,
    seen,
    connections: () => connections,
    open: () => open,
    answer: (response) => response.writeHead(204).end(),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return target;
};
