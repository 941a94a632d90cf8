import { addAbortListener } from 'node:events';
import type { Agent, ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { isIP } from 'node:net';
import type { Endpoint } from '../connector.ts';
import { unlessAborted } from '../waiting.ts';

/** As long as servers usually keep theirs; a shorter `Keep-Alive: timeout` of the server counts. */
const idleMs = 4_000;
/** How long an address is used without asking again, while connections to it are at hand. */
const wayKeptMs = 10_000;
const connectTimeoutMs = 10_000;
const maxSockets = 256;
const maxHeaderBytes = 16 * 1024;

/** What a connection is made of. */
export interface Way {
  readonly address: string;
  readonly family: 4 | 6;
  /** PEM; absent: the public ones. */
  readonly ca?: string;
}
export interface ClientSettings {
  readonly target: URL;
  /** Name in the server's certificate, if not the host of the target. */
  readonly serverName: string | undefined;
  /** Longest wait for an answer, 0 for none but the signal's. */
  readonly timeoutMs: number;
  readonly findWay: () => Promise<Way>;
}
/** What is sent; of a large body each try reads it from the beginning. */
export type Content = Uint8Array | { readonly bytes: number; read(): AsyncIterable<Uint8Array> };
export interface HttpClient {
  /** The answer with its body unread: the caller reads or destroys it. Rejects with the error of the connection. */
  readonly exchange: (
    headers: Readonly<Record<string, string>>,
    body: Content,
    signal: AbortSignal,
    /** With query; absent: the target's. */
    path?: string,
  ) => Promise<IncomingMessage>;
  readonly close: () => void;
}

export const endpointOf = ({ hostname, port, protocol }: URL): Endpoint => ({
  host: hostname.replace(/^\[|\]$/g, ''),
  port: Number(port) || (protocol === 'https:' ? 443 : 80),
});

/**
 * Requests of one method to one server over kept connections. Each new connection asks for the way and goes to that very address; the
 * name is used for TLS and `Host` only. An idle connection is used as long as the way is what it was when the connection was made.
 */
export const httpClient = async (method: string, settings: ClientSettings): Promise<HttpClient> => {
  const { target, findWay, timeoutMs } = settings;
  const secure = target.protocol === 'https:';
  const { agent, request } = secure ? overTls() : inPlain();
  const { host, port } = endpointOf(target);
  const servername = settings.serverName ?? (isIP(host) ? '' : host);
  const connectMs = timeoutMs > 0 ? Math.min(timeoutMs, connectTimeoutMs) : connectTimeoutMs;

  const optionsFor = ({ address, family, ca }: Way): RequestOptions => ({
    host: address,
    family,
    port,
    ...(secure ? { servername, ...(ca === undefined ? {} : { ca }) } : {}),
  });

  let known: RequestOptions | undefined;
  let knownUntil = 0;
  let asking: Promise<RequestOptions> | undefined;
  const ask = async (): Promise<RequestOptions> => {
    known = optionsFor(await findWay());
    knownUntil = performance.now() + wayKeptMs;
    return known;
  };
  const asked = (signal: AbortSignal): Promise<RequestOptions> => {
    asking ??= ask().finally(() => {
      asking = undefined;
    });
    return unlessAborted(asking, signal);
  };
  /** Without a wait, so that nobody else takes the idle connection in between. */
  const atHand = (): RequestOptions | undefined =>
    known && performance.now() < knownUntil && agent.freeSockets[agent.getName(known)]?.length ? known : undefined;

  const exchange: HttpClient['exchange'] = async (headers, body, signal, path = target.pathname + target.search) => {
    const shared: RequestOptions = {
      method,
      path,
      headers: { host: target.host, ...headers, 'content-length': String(lengthOf(body)) },
      maxHeaderSize: maxHeaderBytes,
    };
    const limits = { connected: secure ? 'secureConnect' : 'connect', connectMs, timeoutMs, signal };
    const first = await once(request({ ...shared, ...(atHand() ?? (await asked(signal))), agent }), body, limits);
    if ('answer' in first) return first.answer;
    if (!first.wasStale) throw first.error;
    // The server closed an idle connection while the request was on its way. It carries an Idempotency-Key.
    const second = await once(request({ ...shared, ...(await asked(signal)), agent: false }), body, limits);
    if ('answer' in second) return second.answer;
    throw second.error;
  };

  const close = () => {
    agent.maxFreeSockets = 0; // those in use close after their answer
    for (const socket of Object.values(agent.freeSockets).flat()) socket?.destroy();
  };
  return { exchange, close };
};

interface Protocol {
  readonly agent: Agent;
  readonly request: (options: RequestOptions) => ClientRequest;
}
const agentOptions = { keepAlive: true, maxSockets, scheduling: 'lifo', timeout: idleMs } as const;
const overTls = (): Protocol => {
  const { Agent, request } = process.getBuiltinModule('node:https');
  return { agent: new Agent(agentOptions), request };
};
/** Not by an import: that evaluates the getters of node:http, one of which loads Node's copy of undici. */
const inPlain = (): Protocol => {
  const { Agent, request } = process.getBuiltinModule('node:http');
  return { agent: new Agent(agentOptions), request };
};

interface Limits {
  /** The event of a socket that can carry the request. */
  readonly connected: string;
  readonly connectMs: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}
type Outcome =
  | { readonly answer: IncomingMessage }
  /** `wasStale`: a kept connection was reset before it gave a byte of an answer. */
  | { readonly error: unknown; readonly wasStale: boolean };

const once = (request: ClientRequest, body: Content, limits: Limits): Promise<Outcome> =>
  new Promise((resolve) => {
    const { signal, connected, connectMs, timeoutMs } = limits;
    // How long it takes to send it is bounded by the signal.
    const isLarge = !(body instanceof Uint8Array);
    let timer: NodeJS.Timeout | undefined;
    const within = (ms: number, what: string) => {
      clearTimeout(timer);
      if (ms > 0) timer = setTimeout(() => request.destroy(timedOut(`${what} within ${ms} ms`)), ms);
    };
    const abort = () => request.destroy(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
    const abortion = addAbortListener(signal, abort);
    let unanswered = () => false;
    request.once('socket', (socket) => {
      if (socket.connecting) {
        within(connectMs, 'no connection');
        socket.once(connected, () => within(isLarge ? 0 : timeoutMs, 'no answer'));
        return;
      }
      const before = socket.bytesRead;
      unanswered = () => socket.bytesRead === before;
      within(isLarge ? 0 : timeoutMs, 'no answer');
    });
    request.once('response', (answer) => {
      within(timeoutMs, 'no end of the answer');
      resolve({ answer });
    });
    // Stays on: errors that follow an answer end its body.
    request.on('error', (error: NodeJS.ErrnoException) =>
      resolve({ error, wasStale: (error.code === 'ECONNRESET' || error.code === 'EPIPE') && unanswered() }),
    );
    request.once('close', () => {
      clearTimeout(timer);
      abortion[Symbol.dispose]();
    });
    if (body instanceof Uint8Array) return void request.end(body);
    // The time of the other side begins when it has everything.
    request.once('finish', () => within(timeoutMs, 'no answer'));
    void pass(request, body);
  });

const lengthOf = (body: Content): number => (body instanceof Uint8Array ? body.length : body.bytes);

/** As fast as the other side takes it. */
const pass = async (request: ClientRequest, body: Exclude<Content, Uint8Array>): Promise<void> => {
  try {
    for await (const piece of body.read()) {
      if (request.destroyed) return;
      if (!request.write(piece)) await free(request);
    }
    request.end();
  } catch (error) {
    request.destroy(error instanceof Error ? error : new Error(String(error)));
  }
};
const free = (request: ClientRequest): Promise<void> =>
  new Promise((resolve) => {
    const go = () => {
      request.off('drain', go);
      request.off('close', go);
      resolve();
    };
    request.on('drain', go);
    request.on('close', go);
    if (request.destroyed) go();
  });

const timedOut = (text: string): Error => Object.assign(new Error(text), { code: 'ETIMEDOUT' });
