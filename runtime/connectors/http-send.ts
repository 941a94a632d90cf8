import { isIP } from 'node:net';
import type { Attempt, OpenSink, SinkContext } from '../connector.ts';
import { InstructionError, reasonOf, reject, retry } from '../errors.ts';
import type { Message } from '../message.ts';
import { milliseconds } from '../schema.ts';
import type { HttpConnection, HttpSink } from './http.ts';
import { type AuthHeader, authHeader } from './http-auth.ts';
import { eventHeaders, percentEncoded } from './http-events.ts';
import { mayKeep } from './http-headers.ts';

const connectTimeoutMs = 10_000;
const maxSockets = 256;
const authKeptMs = 1_000;
const maxHeaderBytes = 16 * 1024;
/** What is read of an answer: enough for a reason, never enough to hurt. */
const maxAnswerBytes = 64 * 1024;
const maxReason = 200;
const longestRetryAfterMs = 3_600_000;

/**
 * Sends messages to one URL. Each new connection asks the egress for an address and goes to that very address; the name is used for
 * TLS and `Host` only. Redirects are not followed: they would take the message and its credentials to a place that nobody checked.
 */
export const sender = async (config: HttpSink, connection: HttpConnection, context: SinkContext): Promise<OpenSink> => {
  // Of a CommonJS package only `default` is there in a bundle as well.
  const { Pool, buildConnector } = (await import('undici')).default;
  const target = new URL(connection.url.replace(/\/$/, '') + (config.path ?? ''));
  const host = target.hostname.replace(/^\[|\]$/g, '');
  const port = Number(target.port) || (target.protocol === 'https:' ? 443 : 80);
  const where = `${config.method ?? 'POST'} ${target.origin}${target.pathname}`;
  const serverName = connection.tls?.serverName ?? (isIP(host) ? '' : host);
  const timeoutMs = connection.timeout === undefined ? 0 : (milliseconds(connection.timeout) ?? 0);
  const fixed = lowerCase({ ...connection.headers, ...config.headers });

  // At most one read a second, and again after the server refused: rotated secrets hold without a restart.
  let auth: AuthHeader | undefined;
  let authUntil = 0;

  const pool = new Pool(target.origin, {
    connections: maxSockets,
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connect: (options, opened) => {
      const pinned = async () => {
        const { address } = await context.egress.resolve({ host, port });
        const ca = connection.tls?.caRef && readCa(connection.tls.caRef, context);
        const timeout = timeoutMs > 0 ? Math.min(timeoutMs, connectTimeoutMs) : connectTimeoutMs;
        const connect = buildConnector({ timeout, allowH2: false, ...(ca === undefined ? {} : { ca }) });
        connect({ ...options, hostname: address, host: address, servername: serverName }, opened);
      };
      pinned().catch((error: unknown) => opened(error as Error, null));
    },
  });

  const send = async (message: Message, attempt: Attempt): Promise<void> => {
    const now = performance.now();
    if (now > authUntil) {
      auth = authHeader(connection.auth, context.secret);
      authUntil = now + authKeptMs;
    }
    const sent = auth;
    const answer = await pool
      .request({
        path: target.pathname + target.search,
        method: config.method ?? 'POST',
        headers: headersOf(message, fixed, sent),
        body: message.body.bytes(),
        signal: attempt.signal,
      })
      .catch((error: unknown) => {
        throw connectionFailure(error, where, attempt);
      });
    const { statusCode: status } = answer;
    if (status >= 200 && status < 300) {
      // The status is the confirmation; a body that breaks off takes nothing back.
      await answer.body.dump({ limit: maxAnswerBytes }).catch(() => undefined);
      return;
    }
    const reason = await excerpt(answer.body, sent);
    if (isRefusedLogin(status)) authUntil = 0;
    throw statusFailure(status, `${where} answered ${status}${reason}`, afterOf(answer.headers['retry-after']));
  };

  return { send, close: () => pool.close().catch(() => pool.destroy()) };
};

const readCa = (ref: Parameters<SinkContext['ca']>[0], context: SinkContext): string => {
  try {
    return context.ca(ref);
  } catch (cause) {
    throw retry('CaUnreadable', `key ${ref.key} of ${ref.kind} ${ref.name} cannot be read: create it`, {
      cause,
      failure: 'fatal',
    });
  }
};

const lowerCase = (headers: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));

const headersOf = (
  message: Message,
  fixed: Readonly<Record<string, string>>,
  auth: AuthHeader | undefined,
): Record<string, string> => ({
  'content-type': contentType(message),
  'idempotency-key': percentEncoded(message.attrs.id),
  ...forwarded(message),
  ...eventHeaders(message.attrs),
  ...fixed,
  ...(auth ? { [auth.name]: auth.value } : {}),
});

/** Headers that the source kept or a step set; those of the event and of the body are derived from the message itself. */
const forwarded = ({ headers }: Message): Record<string, string> => {
  const sent: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (!mayKeep(name) || derived.test(name)) continue;
    sent[name] = /^[\t\x20-\x7e]*$/.test(value) ? value : percentEncoded(value);
  }
  return sent;
};
const derived = /^(ce-.*|content-type|content-encoding|idempotency-key|traceparent|tracestate)$/;

const contentType = (message: Message): string => {
  const declared = message.attrs['datacontenttype'];
  if (declared !== undefined && /^[\t\x20-\x7e]+$/.test(declared)) return declared;
  try {
    message.body.value();
    return 'application/json';
  } catch {
    return 'application/octet-stream';
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
const timeouts = new Set(['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ETIMEDOUT']);
const notConnected = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL', 'EACCES', 'EPERM']);
const lost = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE', 'UND_ERR_DESTROYED', 'UND_ERR_CLOSED']);

const connectionFailure = (error: unknown, where: string, attempt: Attempt): InstructionError => {
  if (error instanceof InstructionError) return error;
  const code = (error as { code?: unknown }).code;
  const codeText = typeof code === 'string' ? code : '';
  const cause = { cause: error };
  const reason = reasonOf(error);
  if (attempt.signal.aborted) {
    return retry('HttpTimeout', `${where}: no answer before the attempt's deadline; it may have been received`, cause);
  }
  if (timeouts.has(codeText)) return retry('HttpTimeout', `${where}: ${reason}`, cause);
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
const afterOf = (header: string | string[] | undefined): number | undefined => {
  const value = (Array.isArray(header) ? header[0] : header)?.trim();
  if (!value) return undefined;
  const wait = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(wait) ? undefined : Math.min(Math.max(wait, 0), longestRetryAfterMs);
};

interface Answer extends AsyncIterable<Uint8Array> {
  destroy(error?: Error): unknown;
}

/** The beginning of an answer, as `: text`, without our credentials if the server echoes them. */
const excerpt = async (body: Answer, auth: AuthHeader | undefined): Promise<string> => {
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const part of body) {
      size += part.length;
      parts.push(part);
      if (size > maxAnswerBytes) break; // leaving the loop ends the connection
    }
  } catch {
    // the status says enough
  }
  let text = Buffer.concat(parts).subarray(0, maxAnswerBytes).toString();
  for (const hidden of auth?.hidden ?? []) text = text.replaceAll(hidden, '***');
  text = text.replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim();
  return text === '' ? '' : `: ${text.length > maxReason ? `${text.slice(0, maxReason)}...` : text}`;
};
