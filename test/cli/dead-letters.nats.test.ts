import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jetstream } from '@nats-io/jetstream';
import { headers as natsHeaders } from '@nats-io/transport-node';
import { beforeEach, describe, expect, test } from 'vitest';
import { inboxSpec } from '../operator/broker/specs.ts';
import {
  eventually,
  flowTo,
  type Receiver,
  startReceiver,
  startWorkshop,
  type Workshop,
} from '../runtime/engine/workshop.ts';
import { kanava } from './kanava.ts';

/*
 * Dead letters from a worker's hand, looked at and replayed by the command line with credentials of the role `replay` on a real server.
 */
let workshop: Workshop;
let receiver: Receiver;
let access: string[];
const run = (...args: string[]) => kanava([...args, ...access]);
const json = async (...args: string[]) => {
  const { code, stdout, stderr } = await run(...args, '-o', 'json');
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout) as never;
};
const sink = (name: string) => ({ name, http: { connectionRef: { name: 'erp' }, method: 'POST', path: `/${name}` } });
const said = ({ path, id, body }: Receiver['calls'][number]) => `${path} ${id} ${body}`;
const letters = () => workshop.messages('dlq_orders');
const inbox = () => workshop.messages('inbox_orders');

beforeEach(async () => {
  [workshop, receiver] = await Promise.all([startWorkshop(), startReceiver()]);
  const folder = await workshop.tenant.folder('replay', 'orders');
  access = ['--nats', workshop.world.url, '--creds', join(folder, 'creds')];
});

/** Sink `b` of two fails for everything, and step `valid` refuses totals above 1,000. */
const failing = async (ids: readonly string[], body: unknown) => {
  receiver.behave(({ path }) => (path === '/b' ? 404 : 200));
  const flow = flowTo(receiver.url, {
    steps: [
      { name: 'valid', validate: { schema: { type: 'object', properties: { total: { maximum: 1_000 } } } } },
      { name: 'shape', map: { body: { sum: '=body.total' } } },
    ],
    sinks: [sink('a'), sink('b')],
  });
  await workshop.publish(ids, body);
  const worker = await workshop.startWorker(flow);
  await eventually(inbox).toBe(0);
  return worker;
};

describe('kanava dlq', { timeout: 180_000 }, () => {
  test('lists, filters and shows what failed, and removes what is to be removed', async () => {
    await failing(['m0', 'm1'], { total: 20 });
    await workshop.publish(['m2'], { total: 2_000, text: 'å' });
    await eventually(letters).toBe(3);

    const listed = await run('dlq', 'list', 'orders');
    expect(listed.code).toBe(0);
    const rows = listed.stdout.trim().split('\n');
    expect(rows.map((row) => row.split(/ {2,}/).filter((_, at) => [0, 2, 3, 6].includes(at)))).toEqual([
      ['ID', 'PART', 'CODE', 'MESSAGE'],
      expect.arrayContaining(['b', 'HttpStatus404']),
      expect.arrayContaining(['b', 'HttpStatus404']),
      ['3', 'valid', expect.any(String), 'm2'],
    ]);
    const where = "error.part == 'b' && attrs.id == 'm1' && body.total > 10 && headers['x-kept'] == 'yes'";
    expect(await json('dlq', 'list', 'orders', '--where', where)).toMatchObject([{ key: 'b', attrs: { id: 'm1' } }]);
    expect(await json('dlq', 'list', 'orders', '--limit', '1')).toMatchObject([{ id: 3, part: 'valid' }]);

    expect(await json('dlq', 'show', 'orders', '3')).toMatchObject({
      id: 3,
      class: 'permanent',
      attempts: 1,
      generation: 7,
      subject: 'inbox.orders.0.in',
      attrs: { id: 'm2', source: '/shop' },
      headers: { 'x-kept': 'yes' },
      body: { total: 2_000, text: 'å' },
    });

    const dry = await run('dlq', 'discard', 'orders', '--part', 'b', '--dry-run');
    expect([dry.code, dry.stdout]).toEqual([0, expect.stringContaining('would discard 2 dead letters')]);
    expect(await letters()).toBe(3);
    expect((await run('dlq', 'discard', 'orders', '--part', 'b')).code).toBe(0);
    expect(await json('dlq', 'list', 'orders')).toMatchObject([{ id: 3 }]);
    expect((await run('dlq', 'show', 'orders', '1')).code, 'it is gone').toBe(1);
  });

  test('says what --where could not judge', async () => {
    await failing(['m0'], { total: 20 });
    const js = jetstream(workshop.admin);
    await js.publish('dlq.orders.b', 'no envelope at all');
    const { code, stdout, stderr } = await run('dlq', 'list', 'orders', '--where', 'body.total > 1', '-o', 'json');
    expect([code, JSON.parse(stdout)]).toEqual([0, [expect.objectContaining({ id: 1 })]]);
    expect(stderr).toMatch(/left out.*: 1, the first is 2/);
  });
});

describe('kanava replay', { timeout: 180_000 }, () => {
  test('delivers to the sink that failed, once, with everything the message had', async () => {
    await failing(['m0', 'm1'], { total: 20 });
    const before = receiver.calls.length;
    receiver.behave(() => 200);
    const planned = await json('replay', 'orders', '--all', '--dry-run');
    expect(planned).toMatchObject([{ outcome: 'planned', subject: 'inbox.orders.0.in' }, { outcome: 'planned' }]);
    expect([await letters(), receiver.calls.length]).toEqual([2, before]);

    const { code, stdout } = await run('replay', 'orders', '--all', '--rate', '100');
    expect([code, stdout.trim()]).toEqual([0, 'replayed 2 of 2 dead letters of orders']);
    expect(await letters()).toBe(0);
    await eventually(inbox).toBe(0);
    const again = receiver.calls.slice(before);
    expect(again.map(said).toSorted()).toEqual(['/b m0 {"sum":20}', '/b m1 {"sum":20}']);
    expect(await letters()).toBe(0);
  });

  test('goes the whole way where a step failed, or from a step on, with the body as it was or patched', async () => {
    await failing(['m0', 'm1'], { total: 5_000 });
    receiver.behave(() => 200);
    expect(await json('dlq', 'list', 'orders')).toMatchObject([{ part: 'valid' }, { part: 'valid' }]);
    expect((await run('replay', 'orders', '1', '--patch', '{"total": 5}')).code).toBe(0);
    // Not through the step that refused it.
    expect((await run('replay', 'orders', '2', '--from', 'shape')).code).toBe(0);
    await eventually(async () => [await inbox(), await letters()]).toEqual([0, 0]);
    expect(receiver.calls.map(said).toSorted()).toEqual([
      '/a m0 {"sum":5}',
      '/a m1 {"sum":5000}',
      '/b m0 {"sum":5}',
      '/b m1 {"sum":5000}',
    ]);
  });

  test('to every sink when asked, with another body', async () => {
    await failing(['m0'], { total: 20 });
    receiver.behave(() => 200);
    receiver.calls.length = 0;
    const body = join(await workshop.tenant.folder('replay', 'orders'), 'body.json');
    await writeFile(body, '{"total": 7, "more": true}');
    expect((await run('replay', 'orders', '1', '--everywhere', '--body', body)).code).toBe(0);
    await eventually(inbox).toBe(0);
    expect(receiver.calls.map(said).toSorted()).toEqual(['/a m0 {"sum":7}', '/b m0 {"sum":7}']);
  });

  test('that fails again is a dead letter again, which counts its replays', async () => {
    const worker = await failing(['m0'], { total: 20 });
    await run('replay', 'orders', '1');
    await eventually(async () => [await inbox(), await letters()]).toEqual([0, 1]);
    const [again] = (await json('dlq', 'list', 'orders')) as { id: number; replays: number; messageId: string }[];
    expect(again).toMatchObject({ id: 2, replays: 1, key: 'b' });
    await worker.stop();
    const planned = await json('replay', 'orders', '2');
    expect(planned).toMatchObject([{ messageId: `${again?.messageId}/b.p2`, outcome: 'replayed' }]);
  });

  test('at a step or for a sink that is not there ends among the dead letters, not nowhere', async () => {
    const worker = await failing(['m0', 'm1'], { total: 20 });
    await run('replay', 'orders', '1', '--from', 'no-such-step');
    await eventually(async () => [await inbox(), await letters()]).toEqual([0, 2]);
    expect(await json('dlq', 'show', 'orders', '3')).toMatchObject({ code: 'UnknownStep', replays: 1 });
    await worker.stop();
    await workshop.startWorker(flowTo(receiver.url, { sinks: [sink('a')] }));
    await run('replay', 'orders', '2');
    await eventually(async () => [await inbox(), await letters()]).toEqual([0, 2]);
    expect(await json('dlq', 'show', 'orders', '4')).toMatchObject({ code: 'UnknownSink', replays: 1 });
  });

  test('removes a dead letter only when the inbox has the replay', async () => {
    const worker = await failing(['m0'], { total: 20 });
    await worker.stop();
    await workshop.manager.streams.delete('inbox_orders');
    const refused = await run('replay', 'orders', '1');
    expect([refused.code, refused.stdout]).toEqual([1, expect.stringContaining('failed')]);
    expect(await letters()).toBe(1);

    await workshop.tenant.broker.ensureStream(inboxSpec('orders'));
    const copy = await workshop.manager.streams.getMessage('dlq_orders', { seq: 1 });
    expect((await run('replay', 'orders', '1')).code, 'the control: with an inbox it goes').toBe(0);
    expect([await letters(), await inbox()]).toEqual([0, 1]);

    // As if the command had ended before the removal: the inbox knows the replay's id, and that is no success.
    const headers = natsHeaders();
    for (const [name, values] of copy?.header ?? []) if (!/^nats-/i.test(name)) headers.set(name, values[0] ?? '');
    await jetstream(workshop.admin).publish('dlq.orders.b', copy?.data, { headers });
    const repeated = await run('replay', 'orders', '2', '-o', 'json');
    expect(repeated.code).toBe(1);
    expect(JSON.parse(repeated.stdout)).toMatchObject([{ id: 2, outcome: 'duplicate' }]);
    expect([await letters(), await inbox()]).toEqual([1, 1]);
  });

  test('hands on what was accepted, and nothing that steers the server or the engine', async () => {
    const headers = natsHeaders();
    const stored = {
      'kanava-subject': 'inbox.orders.0.in',
      'kanava-id': 'in/x',
      'kanava-part': 'b',
      'kanava-replay-from': 'last-time',
      'ce-id': 'm0',
      'header-x-kept': 'yes',
      'Nats-Expected-Last-Subject-Sequence': '0',
    };
    for (const [name, value] of Object.entries(stored)) headers.set(name, value);
    await jetstream(workshop.admin).publish('dlq.orders.b', '{}', { headers });
    expect((await run('replay', 'orders', '1')).code).toBe(0);
    const replayed = await workshop.manager.streams.getMessage('inbox_orders', { last_by_subj: 'inbox.orders.0.in' });
    expect(Object.fromEntries([...(replayed?.header ?? [])].map(([name, values]) => [name, values[0]]))).toEqual({
      'Nats-Msg-Id': 'in/x.p1',
      'ce-id': 'm0',
      'header-x-kept': 'yes',
      'kanava-id': 'in/x',
      'kanava-replays': '1',
    });
  });
});

describe('whoever may not', { timeout: 180_000 }, () => {
  test('gets 3, with whose credentials it would go', async () => {
    const other = await workshop.tenant.folder('replay', 'other');
    const foreign = ['--nats', workshop.world.url, '--creds', join(other, 'creds')];
    const { code, stderr } = await kanava(['dlq', 'list', 'orders', ...foreign]);
    expect([code, stderr]).toEqual([3, expect.stringContaining('role replay')]);
    const nowhere = await kanava(['dlq', 'list', 'orders', '--nats', 'nats://127.0.0.1:9']);
    expect(nowhere.code).toBe(3);
  });

  test.each([
    ['nothing chosen', ['replay', 'orders']],
    ['ids and a rule', ['replay', 'orders', '1', '--all']],
    ['one body for many', ['replay', 'orders', '--all', '--body', 'x.json']],
    ['an id that is none', ['dlq', 'show', 'orders', 'x']],
    ['no CEL', ['dlq', 'list', 'orders', '--where', 'body.(']],
    ['no JSON', ['replay', 'orders', '1', '--patch', '{']],
    ['no such command', ['dlq', 'drop', 'orders']],
  ])('is told what is wrong with the call: %s', async (_why, args) => {
    const { code, stderr } = await run(...args);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/./)]);
  });

  test('and who has nothing to see is told so', async () => {
    const folder = await workshop.tenant.folder('replay', 'nothing');
    const own = ['--nats', workshop.world.url, '--creds', join(folder, 'creds')];
    const { code, stderr } = await kanava(['dlq', 'list', 'nothing', ...own]);
    expect([code, stderr]).toEqual([1, expect.stringContaining('no Integration nothing')]);
  });
});
