import type { Attempt, OpenSink, SinkContext } from '../connector.ts';
import { InstructionError, reasonOf, reject, retry } from '../errors.ts';
import type { Message } from '../message.ts';
import { milliseconds } from '../schema.ts';
import type { HttpConnection, HttpSink } from './http.ts';
import { type AuthHeader, authHeader } from './http-auth.ts';
import { endpointOf, httpClient } from './http-client.ts';
import { eventHeaders, percentEncoded } from './http-events.ts';
import { mayKeep } from './http-headers.ts';

const authKeptMs = 1_000;
/** What is read of an answer: enough for a reason, never enough to hurt. */
const maxAnswerBytes = 64 * 1024;
const maxReason = 200;
const longestRetryAfterMs = 3_600_000;

/**
 * Sends messages to one URL, at the very address that the egress allowed. Redirects are not followed: they would take the message
 * and its credentials to a place that nobody checked.
 */
export const sender = async (config: HttpSink, connection: HttpConnection, context: SinkContext): Promise<OpenSink> => {
  const target = new URL(connection.url.replace(/\/$/, '') + (config.path ?? ''));
  const method = config.method ?? 'POST';
  const where = `${method} ${target.origin}${target.pathname}`;
  const fixed = lowerCase({ ...connection.headers, ...config.headers });
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

  const send = async (message: Message, attempt: Attempt): Promise<void> => {
    const now = performance.now();
    if (now > authUntil) {
      auth = authHeader(connection.auth, context.secret);
      authUntil = now + authKeptMs;
    }
    const sent = auth;
    const answer = await client
      .exchange(headersOf(message, fixed, sent), message.body.bytes(), attempt.signal)
      .catch((error: unknown) => {
        throw connectionFailure(error, where, attempt);
      });
    // The status is the confirmation; a body that breaks off takes nothing back.
    const body = await beginning(answer);
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status < 300) return;
    if (isRefusedLogin(status)) authUntil = 0;
    const text = `${where} answered ${status}${excerpt(body, sent)}`;
    throw statusFailure(status, text, afterOf(answer.headers['retry-after']));
  };

  return { send, close: async () => client.close() };
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
const notConnected = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL', 'EACCES', 'EPERM']);
const lost = new Set(['ECONNRESET', 'EPIPE']);

const connectionFailure = (error: unknown, where: string, attempt: Attempt): InstructionError => {
  if (error instanceof InstructionError) return error;
  const code = (error as { code?: unknown }).code;
  const codeText = typeof code === 'string' ? code : '';
  const cause = { cause: error };
  const reason = reasonOf(error);
  if (attempt.signal.aborted) {
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
const beginning = async (body: AsyncIterable<Uint8Array>): Promise<Uint8Array> => {
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
  return Buffer.concat(parts).subarray(0, maxAnswerBytes);
};

/** As `: text`, without our credentials if the server echoes them. */
const excerpt = (body: Uint8Array, auth: AuthHeader | undefined): string => {
  let text = Buffer.from(body).toString();
  for (const hidden of auth?.hidden ?? []) text = text.replaceAll(hidden, '***');
  text = text.replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim();
  return text === '' ? '' : `: ${text.length > maxReason ? `${text.slice(0, maxReason)}...` : text}`;
};
