import { type ClientHttp2Session, connect, constants, type IncomingHttpHeaders } from 'node:http2';
import { finished, type Readable } from 'node:stream';
import type { Pieces } from '../control/list-watch.ts';
import type { Identity } from './identity.ts';

export interface StreamAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Pieces;
}
export interface Streams {
  /** A GET. Ends when the signal says so; throws when no answer began. */
  open(path: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<StreamAnswer>;
  close(): void;
}
export interface StreamTimings {
  /** How long an answer may take to begin, connecting included. */
  readonly headersMs: number;
  /** client-go's: a connection is asked every 30 s whether it lives, and given up 15 s later. */
  readonly pingMs: number;
  readonly pongMs: number;
}
const defaults: StreamTimings = { headersMs: 30_000, pingMs: 30_000, pongMs: 15_000 };

interface Connection {
  readonly session: ClientHttp2Session;
  streams: number;
  isRetired: boolean;
  isIdle: boolean;
}

/**
 * Hundreds of long answers over a few HTTP/2 connections. Not by undici, whose HTTP/2 (8.12.4) ends the process with an uncaught
 * exception when a connection idles out after streams were aborted.
 */
export const createStreams = (identity: Identity, options: Partial<StreamTimings> = {}): Streams => {
  const { headersMs, pingMs, pongMs } = { ...defaults, ...options };
  const { origin } = new URL(identity.server);
  const connections = new Set<Connection>();

  /** Gives the connection up, with all its streams, if it is dead. */
  const probe = (session: ClientHttp2Session) => {
    if (session.destroyed) return;
    if (session.connecting) return session.destroy(new Error(`not connected within ${headersMs} ms`));
    const dead = setTimeout(() => session.destroy(new Error(`no answer to a ping within ${pongMs} ms`)), pongMs);
    dead.unref();
    if (!session.ping(() => clearTimeout(dead))) clearTimeout(dead);
  };
  const supervise = (connection: Connection) => {
    const { session, streams } = connection;
    if (session.connecting) return;
    if (streams === 0 && connection.isIdle) return session.close();
    connection.isIdle = streams === 0;
    probe(session);
  };
  const newConnection = (): Connection => {
    const session = connect(origin, identity.tls);
    const connection: Connection = { session, streams: 0, isRetired: false, isIdle: false };
    const pings = setInterval(supervise, pingMs, connection);
    pings.unref();
    connections.add(connection);
    // The streams report it.
    session.on('error', () => {});
    session.on('goaway', () => {
      connection.isRetired = true;
    });
    session.on('close', () => {
      connections.delete(connection);
      clearInterval(pings);
    });
    return connection;
  };
  const free = (): Connection => {
    for (const connection of connections) {
      const { session, streams, isRetired } = connection;
      const room = session.remoteSettings?.maxConcurrentStreams ?? 100;
      if (!isRetired && !session.closed && !session.destroyed && streams < Math.min(room, 100)) return connection;
    }
    return newConnection();
  };

  return {
    open: (path, headers, signal) => {
      const opened = Promise.withResolvers<StreamAnswer>();
      if (signal.aborted) return Promise.reject(signal.reason);
      const connection = free();
      const { session } = connection;
      const stream = session.request({ ':method': 'GET', ':path': path, ...headers });
      connection.streams += 1;
      // A busy server lets one wait; a dead connection must not be used again.
      const late = setTimeout(() => {
        opened.reject(new Error(`no answer began within ${headersMs} ms`));
        stream.close(constants.NGHTTP2_CANCEL);
        probe(session);
      }, headersMs);
      const end = () => {
        opened.reject(signal.reason);
        stream.close(constants.NGHTTP2_CANCEL);
        stream.destroy(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
      };
      signal.addEventListener('abort', end, { once: true });
      // Without a listener it would end the process; who iterates or waits gets it anyway.
      stream.on('error', (error) => opened.reject(error));
      stream.on('response', (answer) => {
        clearTimeout(late);
        const status = answer[':status'] ?? 0;
        opened.resolve({ status, headers: answer, body: bodyOf(stream) });
      });
      stream.on('close', () => {
        connection.streams -= 1;
        clearTimeout(late);
        signal.removeEventListener('abort', end);
        opened.reject(new Error('the connection was closed before an answer began'));
      });
      return opened.promise;
    },
    close: () => {
      for (const { session } of connections) session.destroy();
    },
  };
};

/** Without an iterator: for each piece one makes promises that take longer than most of what is done with it. */
const bodyOf = (stream: Readable): Pieces => ({
  read: (take) =>
    new Promise((resolve, reject) => {
      finished(stream, { writable: false }, (error) => (error ? reject(error) : resolve()));
      const fail = (error: unknown) => {
        reject(error);
        stream.destroy();
      };
      stream.on('data', (piece: Uint8Array) => {
        try {
          const taken = take(piece);
          if (!taken) return;
          stream.pause();
          taken.then(() => stream.resume(), fail);
        } catch (error) {
          fail(error);
        }
      });
    }),
});
