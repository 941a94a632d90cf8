import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { expect, test } from 'vitest';
import { startNats } from './nats.ts';

test('keeps port and store over a crash, and nothing after it is closed', async () => {
  const server = await startNats();
  const first = await connect({ servers: server.url });
  await (await jetstreamManager(first)).streams.add({ name: 'kept', subjects: ['kept'] });
  await jetstream(first).publish('kept', 'one');
  await first.close();
  const { pid } = server;
  await server.kill();
  await expect(connect({ servers: server.url, reconnect: false })).rejects.toThrow();
  await server.start();
  expect(server.pid).not.toBe(pid);
  const second = await connect({ servers: server.url });
  expect((await (await jetstreamManager(second)).streams.info('kept')).state.messages).toBe(1);
  await second.close();
  await server.close();
  expect(existsSync(server.dir)).toBe(false);
});

test('takes config from the caller, and several run at once', async () => {
  await using plain = await startNats({ jetstream: false });
  await using guarded = await startNats({
    config: ({ port }) => `server_name: "s-${port}"\nauthorization { token: secret }`,
    jetstream: 'sync_interval: always',
    monitor: true,
  });
  await expect(connect({ servers: guarded.url })).rejects.toThrow();
  const connection = await connect({ servers: guarded.url, token: 'secret' });
  expect(connection.info?.server_name).toBe(`s-${guarded.port}`);
  const page = (await (await fetch(`${guarded.monitorUrl}/jsz`)).json()) as { config: { sync_always?: boolean } };
  expect(page.config.sync_always).toBe(true);
  await connection.close();
  const other = await connect({ servers: plain.url });
  expect(other.info?.jetstream ?? false).toBe(false);
  await other.close();
});

test('says why it did not start', async () => {
  await expect(startNats({ config: 'max_payload: [' })).rejects.toThrow(/ended before it was ready[^]*Parse error/);
});

test('logs into its folder', async () => {
  await using server = await startNats();
  expect(await readFile(join(server.dir, 'server.log'), 'utf8')).toContain('Server is ready');
});
