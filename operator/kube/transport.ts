import { setTimeout as sleep } from 'node:timers/promises';
import { Counter, type Registry } from 'prom-client';
import { type Dispatcher, Pool } from 'undici';
import { ApiError } from '../reconcile/ports.ts';
import { noAnswer, refusal } from './api-failure.ts';
import type { Identity } from './identity.ts';

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
  /** One attempt, and without asking `mayWrite`: the lease itself. */
  readonly once?: boolean;
  readonly signal?: AbortSignal;
}
export interface Transport {
  /** The JSON of the answer. Throws ApiError. */
  request(request: ApiRequest): Promise<unknown>;
  /** The bytes of an answer without end. Throws ApiError; the iteration throws when the connection breaks. */
  stream(request: Pick<ApiRequest, 'path' | 'query'> & { signal: AbortSignal }): Promise<AsyncIterable<Uint8Array>>;
  close(): Promise<void>;
}
export interface TransportOptions {
  readonly identity: Identity;
  readonly registry: Registry;
  /** Asked before each attempt of each write: no operator that has lost its lease sends one. */
  readonly mayWrite: () => boolean;
  readonly connections?: number;
  readonly userAgent?: string;
}

const attempts = 4;
const retried = new Set([429, 500, 502, 503, 504]);
/** Longer waits are the queue's business, which knows what else there is to do. */
const longestWaitMs = 10_000;

const retryAfterMs = (response: Dispatcher.ResponseData): number | undefined => {
  const seconds = Number(response.headers['retry-after']);
  return Number.isFinite(seconds) ? seconds * 1000 : undefined;
};

const parsed = (text: string): unknown => {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    // No cause: the parser's message quotes the text, which may hold a Secret.
    throw new Error(`an answer of ${text.length} characters is not JSON`);
  }
};

/** Untyped JSON over one pool of connections: generated models drop the fields that they do not know, and open a connection a call. */
export const createTransport = (options: TransportOptions): Transport => {
  const { identity, mayWrite, userAgent = 'kanava-operator' } = options;
  const url = new URL(identity.server);
  const base = url.pathname.replace(/\/$/, '');
  const connect = { ...identity.tls, timeout: 10_000 };
  const calls = new Pool(url.origin, {
    connections: options.connections ?? 8,
    allowH2: false,
    connect,
    keepAliveTimeout: 30_000,
  });
  // Hundreds of watches (Secrets: one a tenant) over a few connections. Apart from the calls, which thus do not wait for a dead one;
  // after a header time-out undici pings the connection and drops it when nothing comes back.
  const watches = new Pool(url.origin, {
    connections: 8,
    allowH2: true,
    connect,
    headersTimeout: 10_000,
    bodyTimeout: 0,
  });
  const requests = new Counter({
    name: 'rest_client_requests_total',
    help: 'Requests to the API server by status, method and host.',
    labelNames: ['code', 'method', 'host'],
    registers: [options.registry],
  });
  const target = (path: string, query: ApiRequest['query'] = {}) => {
    const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
    return `${base}${path}${given.length > 0 ? `?${new URLSearchParams(given)}` : ''}`;
  };
  const send = async (pool: Pool, request: ApiRequest, signal: AbortSignal): Promise<Dispatcher.ResponseData> => {
    const { method, path, query, body, contentType = 'application/json' } = request;
    const once = async (refused: boolean) => {
      const authorization = await identity.authorization(refused);
      const response = await pool.request({
        method,
        path: target(path, query),
        headers: {
          accept: 'application/json',
          'user-agent': userAgent,
          ...(authorization && { authorization }),
          ...(body !== undefined && { 'content-type': contentType }),
        },
        body: body === undefined ? null : JSON.stringify(body),
        signal,
      });
      requests.inc({ code: String(response.statusCode), method, host: url.host });
      return response;
    };
    try {
      const response = await once(false);
      if (response.statusCode !== 401) return response;
      // The token was renewed or revoked since we read it.
      await response.body.dump();
      return await once(true);
    } catch (error) {
      requests.inc({ code: '<error>', method, host: url.host });
      throw error;
    }
  };
  const attempt = async (request: ApiRequest, signal: AbortSignal): Promise<unknown> => {
    const response = await send(calls, request, signal);
    const text = await response.body.text();
    if (response.statusCode < 300) return parsed(text);
    throw Object.assign(refusal(response.statusCode, text, request), { retryAfterMs: retryAfterMs(response) });
  };
  /** How long to wait before the next attempt; nothing when there must be none. */
  const waitMs = (request: ApiRequest, error: unknown, tried: number): number | undefined => {
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
      const deadline = AbortSignal.timeout(request.timeoutMs ?? 30_000);
      const signal = request.signal ? AbortSignal.any([request.signal, deadline]) : deadline;
      for (let tried = 1; ; tried++) {
        if (request.method !== 'GET' && !request.once && !mayWrite())
          throw noAnswer('NotLeader', request, 'not sent, because this operator does not lead (any more)');
        try {
          return await attempt(request, signal);
        } catch (error) {
          const wait = signal.aborted ? undefined : waitMs(request, error, tried);
          if (wait === undefined) {
            if (error instanceof ApiError) throw error;
            const why = `no answer from ${identity.server} (attempt ${tried}): ${String(error)}`;
            throw noAnswer(deadline.aborted ? 'Timeout' : 'Unreachable', request, why, error);
          }
          await sleep(wait, undefined, { signal }).catch(() => {});
        }
      }
    },
    stream: async ({ path, query, signal }) => {
      const request: ApiRequest = { method: 'GET', path, ...(query && { query }) };
      let response: Dispatcher.ResponseData;
      try {
        response = await send(watches, request, signal);
      } catch (error) {
        throw noAnswer('Unreachable', request, `no answer from ${identity.server}: ${String(error)}`, error);
      }
      if (response.statusCode === 200) return response.body as AsyncIterable<Uint8Array>;
      const text = await response.body.text();
      const asked = retryAfterMs(response);
      if (asked !== undefined) await sleep(Math.min(asked, longestWaitMs), undefined, { signal }).catch(() => {});
      throw refusal(response.statusCode, text, request);
    },
    close: async () => {
      await Promise.all([calls.destroy(), watches.destroy()]);
    },
  };
};
