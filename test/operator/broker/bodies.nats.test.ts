import { jetstreamManager } from '@nats-io/jetstream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loadBody } from '../../../runtime/bodies/read.ts';
import { keepBody, removeBody, writeBody } from '../../../runtime/bodies/write.ts';
import type { BodyReference } from '../../../runtime/nats/body-reference.ts';
import { bodyHead, bodyKey, bodyStream, bodySubject, inboxStream } from '../../../runtime/nats/names.ts';
import { connectTransport, type JetStreamTransport } from '../../../runtime/transport/jetstream.ts';
import { silent } from '../../runtime/engine/workshop.ts';
import { bodySpec, inboxSpec } from './specs.ts';
import { startWorld, type World, type WorldTenant } from './world.ts';

/*
 * What the sweep removes, and when: by a clock that is ahead of the server's. Each row has a twin a little earlier in which the body is still
 * referred to and must be there.
 */
const hour = 3_600_000;
const retentionMs = 24 * hour;

describe('the sweep of large bodies', () => {
  let world: World;
  let tenant: WorldTenant;
  let worker: JetStreamTransport;
  const written: BodyReference[] = [];

  beforeAll(async () => {
    world = await startWorld();
    tenant = await world.tenant('acme');
    worker = await connectTransport({
      folder: await tenant.folder('worker', 'orders'),
      role: 'worker',
      integration: 'orders',
      name: 'worker',
      log: silent,
    });
  });
  afterAll(async () => {
    await worker?.close();
    await world.stop();
  });
  beforeEach(async () => {
    for (const spec of [inboxSpec('orders', { consumers: [] }), bodySpec('orders')])
      await tenant.broker.ensureStream(spec);
    const manager = await jetstreamManager(await tenant.admin());
    for (const stream of [inboxStream('orders'), bodyStream('orders')]) await manager.streams.purge(stream);
    written.length = 0;
  });

  const store = () => worker.bodies('orders');
  const write = async (): Promise<BodyReference> => {
    const limits = { mostBytes: 1e6, mostPayload: 200_000 };
    const { reference } = await writeBody(store(), [Buffer.alloc(500_000, 'a')], limits);
    written.push(reference);
    return reference;
  };
  const put = (id: string) =>
    worker.publish({ subject: 'inbox.orders.0.in', id, headers: {}, body: Buffer.from('waits') });
  const sweepIn = (ms: number, retired = false) =>
    tenant.broker.sweepBodies('orders', { retentionMs, retired, now: Date.now() + ms });
  const isThere = (reference: BodyReference) =>
    loadBody(store(), reference).then(
      ({ length }) => length === 500_000,
      () => false,
    );

  test('what a dead writer left goes after an hour, when nothing waits that is older', async () => {
    const left = await write();
    expect(await sweepIn(hour - 60_000)).toEqual([]);
    expect(await isThere(left)).toBe(true);
    expect(await sweepIn(hour + 60_000)).toEqual([left.id]);
    expect(await isThere(left)).toBe(false);
    const { state } = await (await jetstreamManager(await tenant.admin())).streams.info(bodyStream('orders'));
    expect(state.messages).toBe(0);
  });

  test('what a message that waits may refer to stays, however long it waits', async () => {
    const waits = await write();
    await put('m1');
    expect(await sweepIn(1_000 * hour)).toEqual([]);
    expect(await isThere(waits)).toBe(true);
  });

  test('what a dead letter refers to stays as long as dead letters do, from the last one on', async () => {
    const [letter, none] = [await write(), await write()];
    await keepBody(store(), letter);
    expect(await sweepIn(retentionMs)).toEqual([none.id]);
    expect(await isThere(letter)).toBe(true);
    expect(await sweepIn(retentionMs + hour + 60_000)).toEqual([letter.id]);
  });

  test('a replay that waits keeps the body of its dead letter, though that has expired', async () => {
    const letter = await write();
    await keepBody(store(), letter);
    await put('replay');
    expect(await sweepIn(retentionMs + hour + 60_000)).toEqual([]);
    expect(await isThere(letter)).toBe(true);
  });

  test('what a worker took away is no matter, and hides nothing behind it', async () => {
    const [before, gone, after] = [await write(), await write(), await write()];
    await removeBody(store(), gone);
    expect((await sweepIn(2 * hour)).sort()).toEqual([before.id, after.id].sort());
    expect(await sweepIn(2 * hour)).toEqual([]);
  });

  test('a worker that died while it took a body away left its head', async () => {
    const half = await write();
    await store().remove(bodyKey(half.id, 0));
    expect(await sweepIn(2 * hour)).toEqual([half.id]);
  });

  test('an operator that died while it swept has said so: the next one goes on at once', async () => {
    const swept = await write();
    const admin = await tenant.admin();
    await admin.request(bodySubject('orders', bodyKey(swept.id, bodyHead)), 'swept');
    expect(await sweepIn(0)).toEqual([swept.id]);
    expect(await isThere(swept)).toBe(false);
  });

  test('a stream that is not wanted any more goes when it was empty for an hour', async () => {
    const last = await write();
    await world.broker.meter.look();
    const streams = async () => (await tenant.broker.streams()).map(({ name }) => name);
    await sweepIn(0, true);
    expect(await isThere(last)).toBe(true);
    expect(await sweepIn(2 * hour, true)).toEqual([last.id]);
    await sweepIn(0, true);
    expect(await streams()).toContain(bodyStream('orders'));
    await sweepIn(2 * hour, false);
    expect(await streams()).toContain(bodyStream('orders'));
    await sweepIn(2 * hour, true);
    expect(await streams()).not.toContain(bodyStream('orders'));
    expect(await sweepIn(2 * hour, true)).toEqual([]);
  });
});
