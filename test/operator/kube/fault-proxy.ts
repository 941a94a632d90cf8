import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { constants, createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type Dispatcher, Pool } from 'undici';
import type { Identity } from '../../../operator/kube/identity.ts';
import type { KubeApi } from '../../cluster/kube-api.ts';
import { authority } from '../../cluster/pki.ts';
import { temporaryFolder } from '../../cluster/temporary.ts';

export interface ProxiedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly isWatch: boolean;
}
export type Fault =
  | {
      readonly do: 'answer';
      readonly status: number;
      readonly body?: unknown;
      readonly headers?: Record<string, string>;
    }
  /** The server executes the request, and the client gets no answer. */
  | { readonly do: 'lose-answer' }
  /** Nothing is sent on, nothing is answered. */
  | { readonly do: 'swallow' }
  | { readonly do: 'reset' }
  | { readonly do: 'delay'; readonly ms: number }
  /** Watches: each line of the server becomes these lines. */
  | { readonly do: 'lines'; readonly of: (line: string) => readonly string[] }
  /** Watches: ends cleanly after so many bytes, in the middle of a line. */
  | { readonly do: 'truncate'; readonly bytes: number };

export interface FaultProxy {
  readonly url: string;
  /** The administrator, through the proxy. */
  readonly identity: Identity;
  /** Every request, in order. */
  readonly requests: ProxiedRequest[];
  /** TCP connections so far. */
  connections(): number;
  /** Asked for each request. */
  fault(choose: ((request: ProxiedRequest) => Fault | undefined) | undefined): void;
  /** Breaks all running watches, and nothing else. */
  cutWatches(): number;
  /** All running watches stay open and say nothing any more; new ones work. */
  freezeWatches(): number;
  openWatches(): number;
  /** Half-open: from now on no byte passes on the connections that exist; nobody is told. */
  freezeConnections(): void;
  resetConnections(): void;
  close(): Promise<void>;
}

interface LiveWatch {
  isFrozen: boolean;
  cut(): void;
}

const describe = (request: Http2ServerRequest): ProxiedRequest => {
  const url = new URL(request.url, 'https://proxy');
  const isWatch = ['1', 'true'].includes(url.searchParams.get('watch') ?? '');
  return { method: request.method, path: url.pathname, query: url.searchParams, isWatch };
};
const destroy = (request: Http2ServerRequest) => {
  // HTTP/1.1 requests come through the same handler and have no stream.
  const { stream } = request as Partial<Http2ServerRequest>;
  if (stream) stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  else request.socket.destroy();
};

/** A TCP forwarder (half-open connections, resets) in front of an HTTPS proxy (faults by request) in front of the real API server. */
export const startFaultProxy = async (api: KubeApi): Promise<FaultProxy> => {
  const dir = await temporaryFolder('fault-proxy');
  const pki = await authority(dir);
  const serving = await pki.issue({ name: 'proxy', commonName: 'proxy', names: ['DNS:localhost', 'IP:127.0.0.1'] });
  const [ca, cert, key] = await Promise.all([pki.ca, serving.cert, serving.key].map((file) => readFile(file)));
  const upstream = new Pool(api.url, {
    allowH2: false,
    connect: { ca: api.ca, cert: api.adminCert, key: api.adminKey },
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const requests: ProxiedRequest[] = [];
  const watches = new Set<LiveWatch>();
  let choose: ((request: ProxiedRequest) => Fault | undefined) | undefined;

  const answer = (response: Http2ServerResponse, fault: Extract<Fault, { do: 'answer' }>) => {
    const { status, headers } = fault;
    const body = fault.body ?? {
      kind: 'Status',
      apiVersion: 'v1',
      status: 'Failure',
      code: status,
      reason: 'Injected',
    };
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
  const forwardWatch = async (
    request: Http2ServerRequest,
    response: Http2ServerResponse,
    body: Dispatcher.ResponseData['body'],
    fault: Fault | undefined,
  ) => {
    const watch: LiveWatch = { isFrozen: false, cut: () => destroy(request) };
    watches.add(watch);
    let sent = 0;
    let rest = '';
    const decoder = new TextDecoder();
    try {
      for await (const chunk of body) {
        if (response.destroyed || response.writableEnded) return;
        if (watch.isFrozen) continue;
        const text = rest + decoder.decode(chunk as Uint8Array, { stream: true });
        const whole = text.split('\n');
        rest = whole.pop() ?? '';
        const of = fault?.do === 'lines' ? fault.of : (line: string) => [line];
        const out = whole
          .flatMap((line) => of(line))
          .map((line) => `${line}\n`)
          .join('');
        if (fault?.do === 'truncate' && sent + out.length > fault.bytes) {
          response.end(out.slice(0, fault.bytes - sent));
          return;
        }
        sent += out.length;
        if (out) response.write(out);
      }
      // A frozen connection does not hear that the server has ended it.
      if (!watch.isFrozen) response.end();
    } finally {
      if (!watch.isFrozen) watches.delete(watch);
    }
  };
  const handle = async (request: Http2ServerRequest, response: Http2ServerResponse) => {
    const described = describe(request);
    requests.push(described);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const fault = choose?.(described);
    if (fault?.do === 'answer') return answer(response, fault);
    if (fault?.do === 'swallow') return;
    if (fault?.do === 'reset') return destroy(request);
    if (fault?.do === 'delay') await delay(fault.ms);
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const sent = await upstream.request({
      method: request.method ?? 'GET',
      path: request.url,
      headers: Object.fromEntries(
        Object.entries(request.headers).filter(
          ([name]) =>
            !name.startsWith(':') && !['host', 'connection', 'authorization', 'transfer-encoding'].includes(name),
        ),
      ) as Record<string, string>,
      body: chunks.length > 0 ? Buffer.concat(chunks) : null,
      signal: gone.signal,
    });
    if (fault?.do === 'lose-answer') {
      await sent.body.dump();
      return destroy(request);
    }
    const { 'transfer-encoding': _, connection: __, ...headers } = sent.headers;
    response.writeHead(sent.statusCode, headers as Record<string, string>);
    if (described.isWatch && sent.statusCode === 200) {
      // HTTP/1.1 holds headers back until there is a body, and a watch may have none for long.
      if ('flushHeaders' in response && typeof response.flushHeaders === 'function') response.flushHeaders();
      return forwardWatch(request, response, sent.body, fault);
    }
    response.end(Buffer.from(await sent.body.arrayBuffer()));
  };

  const inner = createSecureServer({ cert, key, allowHTTP1: true }, (request, response) => {
    // Ends of either side are the point of this proxy.
    handle(request, response).catch(() => destroy(request));
  });
  inner.on('sessionError', () => {});
  inner.listen(0, '127.0.0.1');
  await once(inner, 'listening');
  const innerPort = (inner.address() as AddressInfo).port;

  const pairs = new Set<{ client: Socket; server: Socket; isFrozen: boolean }>();
  let accepted = 0;
  const outer = createServer((client) => {
    accepted += 1;
    const server = connect(innerPort, '127.0.0.1');
    const pair = { client, server, isFrozen: false };
    pairs.add(pair);
    const copy = (from: Socket, to: Socket) => {
      from.on('data', (data) => void (pair.isFrozen || to.write(data)));
      from.on('error', () => {});
      from.on('close', () => {
        pairs.delete(pair);
        if (!pair.isFrozen) to.destroy();
      });
    };
    copy(client, server);
    copy(server, client);
  });
  outer.listen(0, '127.0.0.1');
  await once(outer, 'listening');
  const url = `https://127.0.0.1:${(outer.address() as AddressInfo).port}`;

  return {
    url,
    identity: { server: url, tls: { ca }, authorization: async () => undefined },
    requests,
    connections: () => accepted,
    fault: (chooser) => {
      choose = chooser;
    },
    cutWatches: () => {
      const cut = [...watches];
      watches.clear();
      for (const watch of cut) watch.cut();
      return cut.length;
    },
    freezeWatches: () => {
      const frozen = [...watches];
      watches.clear();
      for (const watch of frozen) watch.isFrozen = true;
      return frozen.length;
    },
    openWatches: () => watches.size,
    freezeConnections: () => {
      watches.clear();
      for (const pair of pairs) pair.isFrozen = true;
    },
    resetConnections: () => {
      for (const { client, server } of pairs) {
        client.resetAndDestroy();
        server.destroy();
      }
    },
    close: async () => {
      for (const { client, server } of pairs) {
        client.destroy();
        server.destroy();
      }
      outer.close();
      inner.close();
      await upstream.destroy();
      await rm(dir, { recursive: true, force: true });
    },
  };
};
