import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startNats } from '../../cluster/nats.ts';
import { adminCreds, startWorld } from '../../operator/broker/world.ts';
import { kanava } from '../kanava.ts';
import { post, startRun } from './running.ts';

/* `kanava run --nats`: the same Integrations on a real server, where what is accepted stays. */
const deadline = { timeout: 120_000 };
const text = (shape: string, spec = '') => `apiVersion: kanava.dev/v1alpha1
kind: Integration
metadata: {name: orders}
spec:
  sources: [{name: web, http: {path: /in}}]
  steps:
    - {name: once, dedupe: {key: "string(body.id)", window: 1h}}
    - {name: shape, map: {body: ${shape}}}
  sinks: [{name: events, bus: {type: order.placed}}]
  ${spec}
---
apiVersion: kanava.dev/v1alpha1
kind: Integration
metadata: {name: stock}
spec:
  sources: [{name: orders, bus: {types: [order.placed]}}]
  sinks: [{name: erp, http: {connectionRef: {name: erp}}}]
---
apiVersion: kanava.dev/v1alpha1
kind: Connection
metadata: {name: erp}
spec: {http: {url: "https://erp.example.com"}}
`;

const start = (access: { url: string; creds?: string }, first: string) => {
  const folder = mkdtempSync(join(tmpdir(), 'kanava-run-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const write = (yaml: string) => writeFileSync(join(folder, 'all.yaml'), yaml);
  write(first);
  const nats = { creds: undefined, ca: undefined, ...access };
  const running = startRun({ paths: [folder], nats }, onTestFinished);
  const stocked = () => running.printed().filter(({ integration }) => integration === 'stock');
  return {
    ...running,
    write,
    post: async (body: unknown) => post(await running.url(), body),
    prints: (bodies: unknown[]) => expect.poll(() => stocked().map(({ body }) => body), deadline).toEqual(bodies),
  };
};
const server = async () => {
  const nats = await startNats();
  onTestFinished(() => nats.close());
  const connection = await connect({ servers: nats.url });
  onTestFinished(() => connection.close());
  return { url: nats.url, connection, manager: await jetstreamManager(connection) };
};
const streamsOf = async (connection: NatsConnection) => {
  const names: string[] = [];
  for await (const { config } of (await jetstreamManager(connection)).streams.list()) names.push(config.name);
  return names.toSorted();
};
const planned = ['KV_answer', 'KV_state', 'bus', 'dlq_orders', 'dlq_stock', 'inbox_orders', 'inbox_stock', 'tick'];

describe('kanava run --nats', { timeout: 300_000 }, () => {
  test('runs on the streams that the operator plans, follows edits, and says what it leaves behind', async () => {
    const { url, connection } = await server();
    const running = start({ url }, text('{id: =body.id}'));
    expect(await running.post({ id: 1 })).toBe(202);
    expect(await running.post({ id: 1 })).toBe(202);
    await running.prints([{ id: 1 }]);
    expect(await streamsOf(connection)).toEqual(planned);

    running.write(text('{nr: =body.id}'));
    await running.says(/taken over in/);
    expect(await running.post({ id: 2 })).toBe(202);
    await running.prints([{ id: 1 }, { nr: 2 }]);

    running.write(text('{nr: =body.}'));
    await running.says(/what ran before goes on/);
    expect(await running.post({})).toBe(202);
    await running.says(/orders: dead letter of once/);

    expect(await running.end()).toBe(true);
    expect(running.notes()).toMatch(/left on the server:\n(.*\n)* {2}stream dlq_orders: 1 message\n/);
    expect(running.notes()).toMatch(/ {2}stream inbox_orders: 0 messages\n/);
    expect(running.notes()).toContain('`kanava dlq list orders` shows its dead letters');
  });

  test('what is accepted stays, and is worked on the next time', async () => {
    const { url } = await server();
    const first = start({ url }, text('{id: =body.id}', 'suspend: true'));
    expect(await first.post({ id: 7 })).toBe(202);
    expect(await first.end()).toBe(true);
    expect(first.notes()).toMatch(/stream inbox_orders: 1 message\n/);
    const second = start({ url }, text('{id: =body.id}'));
    await second.prints([{ id: 7 }]);
    expect(await second.end()).toBe(true);
  });

  test('leaves alone what belongs to a cluster', async () => {
    const { url, manager } = await server();
    const metadata = { 'kanava.dev/uid': 'b0d6' };
    await manager.streams.add({ name: 'inbox_orders', subjects: ['inbox.orders.*.*'], metadata });
    const before = await manager.streams.info('inbox_orders');
    const running = start({ url }, text('{id: =body.id}'));
    expect(await running.finished).toBe(false);
    expect(running.notes()).toMatch(/orders: cannot run: .*inbox_orders belongs to an Integration of a cluster/);
    expect((await manager.streams.info('inbox_orders')).config).toEqual(before.config);
  });

  test('logs in with credentials, and says when they are not taken', async () => {
    await using world = await startWorld();
    const tenant = await world.tenant('acme');
    const creds = adminCreds(tenant.keys);
    const running = start({ url: world.url, creds }, text('{id: =body.id}'));
    expect(await running.post({ id: 1 })).toBe(202);
    await running.prints([{ id: 1 }]);
    expect(await running.end()).toBe(true);
    await using connection = Object.assign(
      await connect({ servers: world.url, authenticator: credsAuthenticator(Buffer.from(creds)) }),
      { [Symbol.asyncDispose]: () => connection.close() },
    );
    expect(await streamsOf(connection)).toEqual(planned);

    const other = start({ url: world.url }, text('{id: =body.id}'));
    await expect(other.finished).rejects.toThrow(/does not let us in within 10 s: check --nats, --creds and --ca/);
  });

  test('the options are those of the command line', async () => {
    const { url } = await server();
    const folder = mkdtempSync(join(tmpdir(), 'kanava-run-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'all.yaml');
    writeFileSync(file, text('{id: =body.id}'));
    writeFileSync(join(folder, 'one.json'), '{"id": 1}');
    const args = ['run', file, '--print', '--port', '0', '--once', join(folder, 'one.json')];
    const { code, stdout, stderr } = await kanava([...args, '--nats', url], { timeout: 240_000 });
    expect([code, stdout], stderr).toEqual([0, expect.stringContaining('"body":{"id":1}')]);
    expect(stderr).toContain('left on the server:');
    expect(await kanava([...args, '--creds', file])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('go with --nats'),
    });
  });
});
