import type { SinkContext } from '../connector.ts';
import { InstructionError, reasonOf, reject, retry } from '../errors.ts';
import { milliseconds } from '../schema.ts';
import type { HttpConnection } from './http.ts';
import { type AuthHeader, authHeader } from './http-auth.ts';
import { type Content, endpointOf, httpClient } from './http-client.ts';

const authKeptMs = 1_000;
const maxReason = 200;
const longestRetryAfterMs = 3_600_000;

export interface ExchangeOptions {
  readonly connection: HttpConnection;
  readonly target: URL;
  readonly method: string;
  /** The request in errors: nothing of a message. */
  readonly where: string;
  readonly mostAnswerBytes: number;
}
export interface Request {
  /** Ours to change. */
  readonly headers: Record<string, string>;
  readonly body: Content;
  readonly signal: AbortSignal;
  /** With query; absent: the target's. */
  readonly path?: string;
  /** A status that is an answer, too, beside those that say yes. */
  readonly alsoStatus?: number;
}
export interface Answer {
  readonly status: number;
  readonly contentType: string | undefined;
  readonly body: Uint8Array;
  /** False for one that broke off or was too long: `body` is its beginning. */
  readonly isWhole: boolean;
}
export interface Exchange {
  /** Rejects with an instruction for every status that does not say yes, and for every failure of the connection. */
  ask(request: Request): Promise<Answer>;
  close(): void;
}

/**
 * Requests over a Connection, at the very address that the egress allowed. Redirects are not followed: they would take the message
 * and its credentials to a place that nobody checked.
 */
export const openExchange = async (
  { connection, target, method, where, mostAnswerBytes }: ExchangeOptions,
  context: Pick<SinkContext, 'secret' | 'ca' | 'egress'>,
): Promise<Exchange> => {
  const client = await httpClient(method, {
    target,
    serverName: connection.tls?.serverName,
    timeoutMs: connection.timeout === undefined ? 0 : (milliseconds(connection.timeout) ?? 0),
    findWay: async () => ({
      ...(await context.egress.resolve(endpointOf(target))),
      ...(connection.tls?.caRef ? { ca: readCa(connection.tls.caRef, context) } : {}),
    }),
  });

  // At most one read a second, and again after the server refused: rotated secrets hold without a restart.
  let auth: AuthHeader | undefined;
  let authUntil = 0;

  return {
    async ask({ headers, body, signal, path, alsoStatus }) {
      const now = performance.now();
      if (now > authUntil) {
        auth = authHeader(connection.auth, context.secret);
        authUntil = now + authKeptMs;
      }
      const sent = auth;
      if (sent) headers[sent.name] = sent.value;
      const answer = await client.exchange(headers, body, signal, path).catch((error: unknown) => {
        throw connectionFailure(error, where, signal);
      });
      const { bytes, isWhole } = await read(answer, mostAnswerBytes);
      const status = answer.statusCode ?? 0;
      if ((status >= 200 && status < 300) || status === alsoStatus)
        return { status, contentType: answer.headers['content-type'], body: bytes, isWhole };
      if (isRefusedLogin(status)) authUntil = 0;
      const text = `${where} answered ${status}${excerpt(bytes, sent)}`;
      throw statusFailure(status, text, afterOf(answer.headers['retry-after']));
    },
    close: () => client.close(),
  };
};

const readCa = (ref: Parameters<SinkContext['ca']>[0], context: Pick<SinkContext, 'ca'>): string => {
  try {
    return context.ca(ref);
  } catch (cause) {
    throw retry('CaUnreadable', `key ${ref.key} of ${ref.kind} ${ref.name} cannot be read: create it`, {
      cause,
      failure: 'fatal',
    });
  }
};

/* ---- Failures ------------------------------------------------------------------------------------------------------------ */

const isRefusedLogin = (status: number): boolean => status === 401 || status === 403 || status === 407;
const isTransient = (status: number): boolean =>
  status === 408 || status === 425 || status === 429 || (status >= 500 && status <= 599);

const statusFailure = (status: number, text: string, afterMs: number | undefined): InstructionError => {
  const code = `HttpStatus${status}`;
  const after = afterMs === undefined ? {} : { afterMs };
  if (isRefusedLogin(status)) {
    return retry(code, `${text}: check \`auth\` of the Connection and its Secret`, { failure: 'fatal', ...after });
  }
  if (isTransient(status)) return retry(code, text, after);
  if (status >= 300 && status < 400) {
    return reject(code, `${text}: redirects are not followed; put the final address into the Connection`);
  }
  return reject(code, text);
};

const tlsUntrusted = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REVOKED',
  'CERT_REJECTED',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'HOSTNAME_MISMATCH',
  'INVALID_CA',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);
const notConnected = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL', 'EACCES', 'EPERM']);
const lost = new Set(['ECONNRESET', 'EPIPE']);

const connectionFailure = (error: unknown, where: string, signal: AbortSignal): InstructionError => {
  if (error instanceof InstructionError) return error;
  const code = (error as { code?: unknown }).code;
  const codeText = typeof code === 'string' ? code : '';
  const cause = { cause: error };
  const reason = reasonOf(error);
  if (signal.aborted) {
    return retry('HttpTimeout', `${where}: no answer before the attempt's deadline; it may have been received`, cause);
  }
  if (codeText === 'ETIMEDOUT') return retry('HttpTimeout', `${where}: ${reason}`, cause);
  if (tlsUntrusted.has(codeText)) {
    return retry(
      'TlsUntrusted',
      `${where}: the server's certificate is not trusted (${codeText}: ${reason}); set tls.caRef or tls.serverName of the Connection`,
      { ...cause, failure: 'fatal' },
    );
  }
  if (codeText.startsWith('ERR_SSL') || codeText === 'EPROTO') {
    return retry('TlsFailed', `${where}: no TLS session: ${reason}`, cause);
  }
  if (notConnected.has(codeText)) return retry('HttpConnect', `${where}: cannot connect: ${reason}`, cause);
  if (lost.has(codeText)) {
    return retry(
      'HttpConnectionLost',
      `${where}: the connection broke off (${reason}); it may have been received`,
      cause,
    );
  }
  return retry('HttpFailed', `${where}: ${reason}`, cause);
};

/** Seconds or a date; unreadable ones are as none. */
const afterOf = (header: string | undefined): number | undefined => {
  const value = header?.trim();
  if (!value) return undefined;
  const wait = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(wait) ? undefined : Math.min(Math.max(wait, 0), longestRetryAfterMs);
};

/** Reads an answer to its end, so that the connection can be used again; of one that is too long only the beginning. */
const read = async (
  body: AsyncIterable<Uint8Array>,
  most: number,
): Promise<{ bytes: Uint8Array; isWhole: boolean }> => {
  const parts: Uint8Array[] = [];
  let size = 0;
  let isWhole = true;
  try {
    for await (const part of body) {
      size += part.length;
      parts.push(part);
      if (size > most) break; // leaving the loop ends the connection
    }
  } catch {
    isWhole = false;
  }
  return { bytes: Buffer.concat(parts).subarray(0, most), isWhole: isWhole && size <= most };
};

/** As `: text`, without our credentials if the server echoes them. */
const excerpt = (body: Uint8Array, auth: AuthHeader | undefined): string => {
  let text = Buffer.from(body).toString();
  for (const hidden of auth?.hidden ?? []) text = text.replaceAll(hidden, '***');
  text = text.replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim();
  return text === '' ? '' : `: ${text.length > maxReason ? `${text.slice(0, maxReason)}...` : text}`;
};
