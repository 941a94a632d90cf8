import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import type { HttpRequest, HttpResponse, HttpRoute, Log } from '../connector.ts';
import { problem, statusText } from '../connectors/http-problem.ts';
import { reasonOf, reject as refuse, retry } from '../errors.ts';

/*
 * The HTTP side of the gateway: finds the route before a body is read, reads the body within the route's limit, hands both over, and
 * says in problem details what was wrong. Everything here faces strangers.
 */
export interface ListenerOptions {
  /** The route of a path exactly as it was sent (no decoding, no normalisation: what is not a route is nothing). */
  readonly find: (path: string) => HttpRoute | undefined;
  /** False until the route table is known: then an unknown path means "not yet". */
  readonly ready: () => boolean;
  /** Upper bound of any body, whatever its route allows. */
  readonly maxBytes: () => number;
  readonly answered: (status: number) => void;
  readonly log: Log;
}

const maxHeaderBytes = 16 * 1024;
/** Complete headers, and the complete request: slower senders are cut off (408), so that they cannot occupy the gateway. */
const headersTimeoutMs = 10_000;
const requestTimeoutMs = 60_000;
const keepAliveMs = 65_000;
/** Bodies being read or in work, all together: beyond it senders wait, so that many large ones do not end the process. */
const maxBufferedBytes = 128 * 1024 * 1024;
/** Of one that is passed on: pieces that were read, and those that are being stored. */
const heldOfLarge = 2 * 1024 * 1024;
/** A refused body that is not larger is read and dropped, so that the sender sees the answer; beyond it the connection is closed. */
const maxDroppedBytes = 8 * 1024 * 1024;

export const createListener = ({ find, ready, maxBytes, answered, log }: ListenerOptions): FastifyInstance => {
  const app = fastify({
    http: { maxHeaderSize: maxHeaderBytes, headersTimeout: headersTimeoutMs, connectionsCheckingInterval: 2_000 },
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveMs,
    forceCloseConnections: 'idle',
    // Routes have no schemas: the compilers for them are never loaded.
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    // On shutdown what already arrived on an open connection is still served; the answer closes it.
    return503OnClosing: false,
    exposeHeadRoutes: false,
    clientErrorHandler: (error, socket) => refuseUnparsed(error, socket),
    frameworkErrors: (_error, _request, reply) => void answer(reply, unknownPath),
  });
  const routes = new WeakMap<FastifyRequest, HttpRoute>();
  let buffered = 0;

  app.addHook('onRequest', async (request, reply) => {
    const route = find(pathOf(request.raw));
    if (!route) return answer(reply, ready() ? unknownPath : notReady);
    if (!route.methods.includes(request.method)) {
      const allow = route.methods.join(', ');
      return answer(reply, problem(405, 'MethodNotAllowed', `use one of ${allow}`, { allow }));
    }
    const limit = route.large?.maxBytes ?? Math.min(route.maxBytes, maxBytes());
    if (Number(request.headers['content-length'] ?? 0) > limit) return answer(reply, tooLarge(request.raw, limit));
    if (buffered > maxBufferedBytes) return answer(reply, overloaded);
    routes.set(request, route);
    return undefined;
  });
  let closing = false;
  app.addHook('preClose', async () => {
    closing = true;
  });
  app.addHook('onSend', async (_request, reply) => {
    if (closing) reply.header('connection', 'close');
  });
  app.addHook('onResponse', async (_request, reply) => answered(reply.statusCode));

  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', async () => undefined);
  // One handler for all: routes come and go while the gateway runs.
  app.all('/*', async (request, reply) => {
    const route = routes.get(request);
    if (!route) return answer(reply, unknownPath);
    let held = 0;
    try {
      const hold = (bytes: number) => {
        held += bytes;
        buffered += bytes;
      };
      const inside = Math.min(route.maxBytes, maxBytes());
      const body = await read(request.raw, inside, hold);
      if (body instanceof Uint8Array) return answer(reply, await route.handle(requestOf(request.raw, body)));
      if (!route.large) {
        request.raw.resume();
        return answer(reply, tooLarge(request.raw, inside));
      }
      hold(heldOfLarge);
      return answer(reply, await passedOn(request.raw, body.begun, route.large));
    } finally {
      buffered -= held;
    }
  });
  app.setNotFoundHandler((_request, reply) => answer(reply, unknownPath));
  app.setErrorHandler((error, request, reply) => {
    if (request.raw.destroyed && !request.raw.complete) return reply.hijack(); // the sender went away
    const status = (error as { statusCode?: number }).statusCode ?? 500;
    if (status < 500) return answer(reply, problem(status, 'BadRequest', reasonOf(error)));
    log.error({ path: pathOf(request.raw), reason: reasonOf(error) }, 'a request failed');
    return answer(reply, problem(500, 'Internal', 'the message was not stored: send it again'));
  });
  return app;
};

const noSchemas = () => {
  throw new Error('the gateway has no schemas of routes');
};

const unknownPath = problem(404, 'UnknownPath', 'no Integration has a source at this path: check /<integration><path>');
const notReady = problem(503, 'NotReady', 'the gateway starts: send it again', { 'retry-after': '2' });
const overloaded = problem(503, 'Overloaded', 'too much is being received: send it again later', {
  'retry-after': '5',
});

const tooLarge = (request: IncomingMessage, limit: number): HttpResponse => {
  const length = Number(request.headers['content-length'] ?? Number.POSITIVE_INFINITY);
  return problem(
    413,
    'BodyTooLarge',
    `the body may have ${limit} bytes: send less, or a reference to the data`,
    length > maxDroppedBytes ? { connection: 'close' } : {},
  );
};

/** As bytes: to text fastify would add a charset, which JSON types do not have. */
const answer = (reply: FastifyReply, { status, headers = {}, body = '' }: HttpResponse): FastifyReply =>
  reply.code(status).headers(headers).send(Buffer.from(body));

/** What is no request to Node's parser: the connection ends with the reason. */
const refuseUnparsed = ({ code }: { code?: string }, socket: Duplex): void => {
  if (code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const { status, headers, body } =
    code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? problem(408, 'RequestTimeout', 'the request did not arrive in time: send it faster')
      : code === 'HPE_HEADER_OVERFLOW'
        ? problem(431, 'HeadersTooLarge', `headers may have ${maxHeaderBytes} bytes together`)
        : problem(400, 'BadRequest', `this is no HTTP request (${code ?? 'unreadable'})`);
  const lines = Object.entries({ ...headers, connection: 'close', 'content-length': String(body).length });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.end(`HTTP/1.1 ${status} ${statusText(status)}\r\n${head}\r\n${String(body)}`);
  return undefined;
};

const pathOf = (request: IncomingMessage): string => {
  const url = request.url ?? '';
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
};

const requestOf = <Content>(request: IncomingMessage, body: Content): Omit<HttpRequest, 'body'> & { body: Content } => {
  const url = request.url ?? '';
  const query = url.indexOf('?');
  const headers: Record<string, string | undefined> = Object.create(null);
  for (const [name, value] of Object.entries(request.headers)) {
    headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return { method: request.method ?? '', path: query < 0 ? '' : url.slice(query), headers, body };
};

/** The whole body; or what came of it until it was larger than the limit: then the rest waits for whoever wants it. */
const read = (
  request: IncomingMessage,
  limit: number,
  held: (bytes: number) => void,
): Promise<Uint8Array | { readonly begun: readonly Uint8Array[] }> =>
  new Promise((resolve, reject) => {
    const gone = () => reject(new Error('the sender closed the connection before the body was complete'));
    if (request.destroyed) return gone();
    if (Number(request.headers['content-length'] ?? 0) > limit) return resolve({ begun: [] });
    const parts: Buffer[] = [];
    let size = 0;
    request.on('data', (part: Buffer) => {
      size += part.length;
      held(part.length);
      parts.push(part);
      if (size <= limit) return;
      request.removeAllListeners('data');
      request.pause();
      resolve({ begun: parts });
    });
    request.on('end', () => resolve(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)));
    request.on('error', reject);
    request.on('close', () => {
      if (!request.complete) gone();
    });
    return undefined;
  });

/** Ending early leaves the connection as it is, so that there can be an answer. */
async function* piecesOf(request: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    yield* request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  } catch (cause) {
    throw retry('SenderGone', 'the sender closed the connection before the body was complete', { cause });
  }
}

/** A large body, as its route wants it. What it did not read is dropped with the connection, after the answer. */
const passedOn = async (
  request: IncomingMessage,
  begun: readonly Uint8Array[],
  { maxBytes, handle }: NonNullable<HttpRoute['large']>,
): Promise<HttpResponse> => {
  async function* pieces() {
    let size = 0;
    for (const part of begun) {
      size += part.length;
      yield part;
    }
    for await (const part of piecesOf(request)) {
      size += part.length;
      if (size > maxBytes) throw refuse('MessageTooLarge', `the body has more than ${maxBytes} bytes`);
      yield part;
    }
  }
  const response = await handle(requestOf(request, pieces()));
  if (request.complete) return response;
  request.resume();
  return { ...response, headers: { ...response.headers, connection: 'close' } };
};
