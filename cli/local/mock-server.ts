import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestFile } from '../../operator/api/test-file.ts';
import type { Flow } from '../../runtime/flow.ts';

/*
 * The other side of Connections: one HTTP server whose paths say whose request it is, so that the real connector does all that it does, with
 * statuses, logins and repeats.
 */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Uint8Array;
}
type Answers = NonNullable<TestFile['mocks']>;
export interface MockServer {
  /** The same Connections, on this server; the calls to them are kept by name. */
  play(connections: Flow['connections'], answers: Answers): Played;
  close(): Promise<void>;
}
export interface Played {
  readonly connections: Flow['connections'];
  readonly calls: ReadonlyMap<string, readonly Asked[]>;
}
interface Side {
  readonly answers: Answers[string];
  readonly calls: Asked[];
}

export const startMockServer = async (): Promise<MockServer> => {
  const sides = new Map<string, Side>();
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const [, id = '', path = ''] = /^\/([^/]+)(.*)$/s.exec(request.url ?? '') ?? [];
      const side = sides.get(id);
      if (!side) return response.writeHead(410).end();
      const { method = '', headers } = request;
      side.calls.push({ method, path: path || '/', headers, body: Buffer.concat(parts) });
      const answer = side.answers[Math.min(side.calls.length, side.answers.length) - 1] ?? { status: 200 };
      return response.writeHead(answer.status, answer.headers).end(contentOf(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    play(connections, answers) {
      const calls = new Map<string, readonly Asked[]>();
      const played = Object.entries(connections).map(([name, settings]) => {
        const { http } = settings as { http?: { url: string } };
        if (!http) return [name, settings] as const;
        const id = String(sides.size + 1);
        const side: Side = { answers: answers[name] ?? [], calls: [] };
        sides.set(id, side);
        calls.set(name, side.calls);
        const { tls: _tls, ...rest } = http as { url: string; tls?: unknown };
        const path = new URL(http.url).pathname.replace(/\/$/, '');
        return [name, { http: { ...rest, url: `http://127.0.0.1:${port}/${id}${path}` } }] as const;
      });
      return { connections: Object.fromEntries(played), calls };
    },
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
};

export const contentOf = ({ body, text }: { readonly body?: unknown; readonly text?: string | undefined }): string =>
  text ?? (body === undefined ? '' : JSON.stringify(body));
