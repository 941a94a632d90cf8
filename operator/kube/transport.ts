import { setTimeout as sleep } from 'node:timers/promises';
import { Counter, type Registry } from 'prom-client';
import { Pool } from 'undici';
import type { Pieces } from '../control/list-watch.ts';
import { ApiError } from '../reconcile/ports.ts';
import { noAnswer, refusal } from './api-failure.ts';
import { type Ending, exchange } from './exchange.ts';
import type { Identity } from './identity.ts';
import { createStreams, type StreamAnswer, type StreamTimings } from './streams.ts';

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  /** Explicit where it says what the server does with the body (patches). */
  readonly contentType?: string;
  /** Doing it twice does as much as once: may be sent again when no answer came. Default: reads only. */
  readonly idempotent?: boolean;
  /** For all attempts together. */
  readonly timeoutMs?: number;
  /** One attempt, without asking `mayWrite`, and never behind other requests: the lease itself. */
  readonly once?: boolean;
  readonly signal?: AbortSignal;
}
export interface Transport {
  /** The JSON of the answer. Throws ApiError. */
  request(request: ApiRequest): Promise<unknown>;
  /** The bytes of an answer without end. Throws ApiError; reading them fails when the connection breaks. */
  stream(request: Pick<ApiRequest, 'path' | 'query'> & { signal: AbortSignal }): Promise<Pieces>;
  close(): Promise<void>;
}
export interface TransportOptions {
  readonly identity: Identity;
  readonly registry: Registry;
  /** Asked before each attempt of each write: no operator that has lost its lease sends one. */
  readonly mayWrite: () => boolean;
  readonly connections?: number;
  /** How long one attempt may hear nothing. */
  readonly attemptMs?: number;
  /**
   * How long one attempt to write may take. A request may wait for a connection after `mayWrite` was asked; it must be sent before the
   * lease, which is valid for 5 s longer than `isLeader()` says, can be another's.
   */
  readonly writeMs?: number;
  readonly streams?: Partial<StreamTimings>;
  readonly userAgent?: string;
}

const attempts = 4;
// Not 500: the server says so to an apply that its schema does not allow, and will again.
const retried = new Set([429, 502, 503, 504]);
/** Longer waits are the queue's business, which knows what else there is to do. */
const longestWaitMs = 10_000;

const retryAfterMs = (headers: Readonly<Record<string, unknown>>): number | undefined => {
  const seconds = Number(headers['retry-after']);
  return Number.isFinite(seconds) ? seconds * 1000 : undefined;
};

/** The text of a refusal: short, so a long one is no refusal and is cut. */
const readAll = async (body: Pieces): Promise<string> => {
  const pieces: Uint8Array[] = [];
  await body
    .read((piece) => {
      if (pieces.push(piece) > 100) throw new Error('longer than any refusal');
      return undefined;
    })
    // What has come of it is all that there is to say.
    .catch(() => {});
  return Buffer.concat(pieces).toString('utf8');
};
const parsed = (text: string): unknown => {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    // No cause: the parser's message quotes the text, which may hold a Secret.
    throw new Error(`an answer of ${text.length} characters is not JSON`);
  }
};

/** One timer, ended with the work. */
const within = async <T>(
  ms: number,
  signal: AbortSignal | undefined,
  work: (ending: Ending) => Promise<T>,
): Promise<T> => {
  const ending: Ending = {};
  const end = (reason: unknown) => {
    ending.reason ??= reason;
    ending.onEnd?.(ending.reason);
  };
  const stop = () => end(signal?.reason);
  const late = () => end(new DOMException(`no answer within ${Math.round(ms)} ms`, 'TimeoutError'));
  if (ms <= 0) late();
  const timer = setTimeout(late, ms);
  signal?.addEventListener('abort', stop);
  if (signal?.aborted) stop();
  try {
    return await work(ending);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
};

/** Writes, but for the lease itself. */
const isGuarded = ({ method, once = false }: ApiRequest): boolean => method !== 'GET' && !once;

/** Untyped JSON over one pool of connections: generated models drop the fields that they do not know, and open a connection a call. */
export const createTransport = (options: TransportOptions): Transport => {
  const { identity, mayWrite, writeMs = 5000, userAgent = 'kanava-operator' } = options;
  const url = new URL(identity.server);
  const base = url.pathname.replace(/\/$/, '');
  const connect = { ...identity.tls, timeout: 10_000 };
  const pool = (connections: number) =>
    new Pool(url.origin, {
      connections,
      allowH2: false,
      connect,
      keepAliveTimeout: 30_000,
      // An attempt on a dead connection leaves time for another within the deadline of the call.
      headersTimeout: options.attemptMs ?? 15_000,
      bodyTimeout: options.attemptMs ?? 15_000,
    });
  const calls = pool(options.connections ?? 8);
  // When the server is slow, dozens of writes wait for a connection; a lease that waited with them would be lost.
  const lease = pool(1);
  // Apart from the calls, which thus never wait for a dead connection of the watches.
  const streams = createStreams(identity, options.streams);
  const requests = new Counter({
    name: 'rest_client_requests_total',
    help: 'Requests to the API server by status, method and host.',
    labelNames: ['code', 'method', 'host'],
    registers: [options.registry],
  });
  const counts = new Map<string, { inc(): void }>();
  const count = (code: string, method: string) => {
    const key = `${method} ${code}`;
    const counter = counts.get(key) ?? requests.labels({ code, method, host: url.host });
    counts.set(key, counter);
    counter.inc();
  };
  const target = (path: string, query: ApiRequest['query'] = {}) => {
    let text = `${base}${path}`;
    let mark = '?';
    for (const [name, value] of Object.entries(query)) {
      if (value === undefined) continue;
      text += `${mark}${name}=${encodeURIComponent(value)}`;
      mark = '&';
    }
    return text;
  };
  /** Counts the answer, and asks once more with a fresh token when the server does not take the one that we have. */
  const counted = async <Answer extends { readonly status: number }>(
    method: string,
    send: (headers: Record<string, string>) => Promise<Answer>,
  ): Promise<Answer> => {
    for (let isRefused = false; ; isRefused = true) {
      try {
        const authorization = await identity.authorization(isRefused);
        const answer = await send({
          accept: 'application/json',
          'user-agent': userAgent,
          ...(authorization && { authorization }),
        });
        count(String(answer.status), method);
        if (answer.status !== 401 || isRefused) return answer;
      } catch (error) {
        if (!(error instanceof ApiError)) count('<error>', method);
        throw error;
      }
    }
  };
  const attempt = async (request: ApiRequest, ending: Ending): Promise<unknown> => {
    const { method, path, query, body, contentType = 'application/json' } = request;
    const content = body === undefined ? null : JSON.stringify(body);
    const { status, headers, text } = await counted(method, async (common) => {
      // As late as can be: a process that is stopped between this and the sending writes after it has lost the lease.
      if (isGuarded(request) && !mayWrite())
        throw noAnswer('NotLeader', request, 'not sent, because this operator does not lead (any more)');
      const sent = {
        method,
        path: target(path, query),
        headers: { ...common, ...(body !== undefined && { 'content-type': contentType }) },
        body: content,
      };
      return exchange(request.once ? lease : calls, sent, ending);
    });
    if (status < 300) return parsed(text);
    throw Object.assign(refusal(status, text, request), { retryAfterMs: retryAfterMs(headers) });
  };
  /** How long to wait before the next attempt; nothing when there must be none. */
  const waitMs = (request: ApiRequest, error: unknown, tried: number): number | undefined => {
    if (error instanceof ApiError && error.reason === 'NotLeader') return undefined;
    const status = error instanceof ApiError ? error.status : 0;
    // 429 was not executed, so it may be sent again whatever it is.
    const safe = status === 429 || (request.idempotent ?? request.method === 'GET');
    if (request.once || !safe || tried >= attempts || (status !== 0 && !retried.has(status))) return undefined;
    const asked = error instanceof ApiError && 'retryAfterMs' in error ? error.retryAfterMs : undefined;
    const wait = typeof asked === 'number' ? asked : 100 * 4 ** (tried - 1);
    return wait > longestWaitMs ? undefined : wait * (1 + Math.random() / 2);
  };

  return {
    request: async (request) => {
      const end = performance.now() + (request.timeoutMs ?? 30_000);
      const left = () => end - performance.now();
      const mostMs = isGuarded(request) ? writeMs : Number.POSITIVE_INFINITY;
      for (let tried = 1; ; tried++) {
        try {
          return await within(Math.min(left(), mostMs), request.signal, (ending) => attempt(request, ending));
        } catch (error) {
          const isOver = left() <= 0 || request.signal?.aborted;
          const wait = isOver ? undefined : waitMs(request, error, tried);
          if (wait === undefined) {
            if (error instanceof ApiError) throw error;
            const why = `no answer from ${identity.server} (attempt ${tried}): ${String(error)}`;
            throw noAnswer(left() <= 0 ? 'Timeout' : 'Unreachable', request, why, error);
          }
          await sleep(Math.min(wait, left()), undefined, request.signal && { signal: request.signal }).catch(() => {});
        }
      }
    },
    stream: async ({ path, query, signal }) => {
      const request: ApiRequest = { method: 'GET', path, ...(query && { query }) };
      let answer: StreamAnswer;
      try {
        answer = await counted('GET', (headers) => streams.open(target(path, query), headers, signal));
      } catch (error) {
        throw noAnswer('Unreachable', request, `no answer from ${identity.server}: ${String(error)}`, error);
      }
      if (answer.status === 200) return answer.body;
      const text = await readAll(answer.body);
      const asked = retryAfterMs(answer.headers);
      if (asked !== undefined) await sleep(Math.min(asked, longestWaitMs), undefined, { signal }).catch(() => {});
      throw refusal(answer.status, text, request);
    },
    close: async () => {
      streams.close();
      await Promise.all([calls.destroy(), lease.destroy()]);
    },
  };
};
