import { createServer, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';

/*
 * The far end of the demo: keeps every message that it is sent, in order, and lists them. `GET /deliveries` answers all of them,
 * `DELETE /deliveries` forgets them, `GET /healthz` says that it runs; a POST below `/echo` fails and tells the sender its own headers,
 * every other POST is a delivery.
 */
export interface Delivery {
  readonly path: string;
  /** Id of the message, as the sink sends it (`ce-id`). */
  readonly id: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

const port = 8080;
let deliveries: Delivery[] = [];

const one = (header: string | string[] | undefined): string =>
  Array.isArray(header) ? header.join(', ') : (header ?? '');

const answer = async (request: IncomingMessage): Promise<[number, unknown?]> => {
  const path = request.url ?? '/';
  if (request.method === 'GET' && path === '/healthz') return [200, { deliveries: deliveries.length }];
  if (request.method === 'GET' && path === '/deliveries') return [200, deliveries];
  if (request.method === 'DELETE' && path === '/deliveries') {
    deliveries = [];
    return [204];
  }
  if (request.method !== 'POST') return [405, { detail: 'POST a message, GET or DELETE /deliveries' }];
  const { headers } = request;
  if (path.startsWith('/echo')) return [500, headers];
  deliveries.push({ path, id: one(headers['ce-id']), headers, body: await text(request) });
  return [202, { received: deliveries.length }];
};

const server = createServer((request, response) => {
  answer(request).then(
    ([status, body]) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(body === undefined ? undefined : JSON.stringify(body));
    },
    (error: unknown) => {
      console.error(`a request broke off: ${error instanceof Error ? error.message : String(error)}`);
      response.destroy();
    },
  );
});
server.listen(port, () => console.log(`listening on ${port}`));
process.once('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
});
