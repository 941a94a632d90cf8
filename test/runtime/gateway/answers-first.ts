import { join } from 'node:path';
import { createAccept } from '../../../runtime/accept.ts';
import { catalog } from '../../../runtime/catalog.ts';
import { createListener } from '../../../runtime/gateway/listener.ts';
import { createRouteTable } from '../../../runtime/gateway/route-table.ts';
import { watchRoutes } from '../../../runtime/gateway/watch.ts';
import { connectTransport } from '../../../runtime/transport/jetstream.ts';
import { silent } from './tenant.ts';

/*
 * A gateway with the fault that the real one must not have: it answers before the inbox has the message. The control of the kill test.
 * `node answers-first.ts <folder> <port>`
 */
const [folder = '', port = ''] = process.argv.slice(2);
const transport = await connectTransport({
  folder: join(folder, 'nats'),
  role: 'gateway',
  name: 'faulty',
  log: silent,
});
const table = createRouteTable({
  catalog,
  tenant: 'acme',
  context: { secret: () => '', ca: () => '', signal: new AbortController().signal },
  accept: (entry, source) => {
    const accept = createAccept(transport, entry, source, silent);
    return async (message) => {
      setTimeout(() => void accept(message).catch(() => undefined), 50);
      return { id: message.attrs.id, duplicate: false };
    };
  },
  once: () => () => Promise.reject(new Error('nobody asks')),
  call: () => () => Promise.reject(new Error('this gateway calls nobody')),
  applied: () => undefined,
  log: silent,
});
watchRoutes(transport.connection, table, silent, () => undefined);
const listener = createListener({
  find: table.find,
  ready: table.ready,
  maxBytes: () => 1024 * 1024,
  answered: () => undefined,
  log: silent,
});
await listener.listen({ port: Number(port), host: '127.0.0.1' });
process.once('SIGTERM', () => setTimeout(() => process.exit(0), 1_000));
