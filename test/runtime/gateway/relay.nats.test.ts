import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { startRelay } from '../../../runtime/gateway/relay.ts';
import { kanava } from '../../cli/kanava.ts';
import { eventually, flowTo, silent, startReceiver, startWorkshop } from '../engine/workshop.ts';

it('leads people to NATS, with their own credentials, and survives a server that is away', {
  timeout: 180_000,
}, async () => {
  const [workshop, receiver] = await Promise.all([startWorkshop(), startReceiver()]);
  receiver.behave(() => 400);
  await workshop.startWorker(flowTo(receiver.url));
  await workshop.publish(['m0']);
  await eventually(() => workshop.messages('dlq_orders')).toBe(1);
  const folder = dirname(await workshop.tenant.folder('gateway'));
  const relay = await startRelay({ port: 0, folder, log: silent });
  onTestFinished(() => relay.close());
  const creds = join(await workshop.tenant.folder('replay', 'orders'), 'creds');
  const list = () => kanava(['dlq', 'list', 'orders', '--nats', `nats://127.0.0.1:${relay.port}`, '--creds', creds]);

  expect(await list()).toMatchObject({ code: 0, stdout: expect.stringContaining('HttpStatus400') });

  const url = await readFile(join(folder, 'nats', 'url'), 'utf8');
  await writeFile(join(folder, 'nats', 'url'), 'nats://127.0.0.1:1');
  expect(await list()).toMatchObject({ code: 3 });
  await writeFile(join(folder, 'nats', 'url'), 'no address');
  expect(await list()).toMatchObject({ code: 3 });
  await writeFile(join(folder, 'nats', 'url'), url);
  expect(await list(), 'what went wrong before takes nothing away').toMatchObject({ code: 0 });
});
