import { catalog } from '../../../runtime/catalog.ts';
import { startGateway } from '../../../runtime/gateway/gateway.ts';
import { silent, until } from './tenant.ts';

/** `node process.ts <folder> <port>`: a gateway of its own, to be killed. Says `ready` on stdout. */
const [folder = '', port = '0'] = process.argv.slice(2);
const gateway = await startGateway({
  tenant: 'acme',
  catalog,
  folder,
  port: Number(port),
  graceMs: 10_000,
  answered: () => undefined,
  closed: () => process.exit(1),
  log: silent,
});
process.on('SIGTERM', () => void gateway.stop().then(() => process.exit(0)));
await until('ready', () => gateway.ready() || undefined);
console.log(`ready ${gateway.port}`);
