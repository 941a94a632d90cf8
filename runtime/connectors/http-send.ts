import type { OpenSink, SinkContext } from '../connector.ts';
import type { Message } from '../message.ts';
import type { HttpConnection, HttpSink } from './http.ts';
import type { Content } from './http-client.ts';
import { eventHeaders, percentEncoded } from './http-events.ts';
import { openExchange } from './http-exchange.ts';
import { mayKeep } from './http-headers.ts';

/** What is read of an answer: enough for a reason, never enough to hurt. */
const mostAnswerBytes = 64 * 1024;

/** Sends messages to one URL: a status that says yes is the confirmation. */
export const sender = async (config: HttpSink, connection: HttpConnection, context: SinkContext): Promise<OpenSink> => {
  const target = new URL(connection.url.replace(/\/$/, '') + (config.path ?? ''));
  const method = config.method ?? 'POST';
  const where = `${method} ${target.origin}${target.pathname}`;
  const fixed = lowerCase({ ...connection.headers, ...config.headers });
  const exchange = await openExchange({ connection, target, method, where, mostAnswerBytes }, context);
  return {
    // A body that breaks off takes nothing back.
    send: async (message, { signal }) =>
      void (await exchange.ask({ headers: headersOf(message, fixed), body: contentOf(message), signal })),
    close: async () => exchange.close(),
  };
};

const contentOf = ({ body }: Message): Content =>
  body.large ? { bytes: body.large.bytes ?? 0, read: body.large.read } : body.bytes();

export const lowerCase = (headers: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));

const headersOf = (message: Message, fixed: Readonly<Record<string, string>>): Record<string, string> => ({
  'content-type': contentType(message),
  'idempotency-key': percentEncoded(message.attrs.id),
  ...forwarded(message),
  ...eventHeaders(message.attrs),
  ...fixed,
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
  if (message.body.large) return 'application/octet-stream';
  try {
    message.body.value();
    return 'application/json';
  } catch {
    return 'application/octet-stream';
  }
};
