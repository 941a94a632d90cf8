import { mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { deadLetterStream, inboxStream } from '../../../runtime/nats/names.ts';
import { eventually, flowTo, integration, startReceiver } from '../engine/workshop.ts';
import { mebibyte, startLargeWorld } from './large-world.ts';

/* One body that becomes many messages: what is settled of it stays settled, whoever dies. */
const inbox = inboxStream(integration);
const deadLetters = deadLetterStream(integration);
const lines = 12_000;
const fill = 'x'.repeat(60);
const whole = Buffer.from(Array.from({ length: lines }, (_, no) => `{"no":${no},"fill":"${fill}"}\n`).join(''));
const steps = [{ name: 'lines', split: { lines: { contentType: 'application/json' } } }];

it('is sent once but for the portion in which the worker died, with a dead letter for the line that was refused', {
  timeout: 300_000,
}, async () => {
  const receiver = await startReceiver();
  const world = await startLargeWorld();
  await world.startGateway();
  const retry = { attempts: 1_000, backoff: { initial: '50ms', max: '200ms' } };
  const flow = flowTo(receiver.url, { steps, delivery: { ...flowTo('').delivery, retry } });
  const first = await world.startWorker(flow);
  let isBack = false;
  receiver.behave(({ id }) => {
    if (id === 'm/2500') return 422;
    if (id === 'm/4500' && !isBack) return 503;
    if (id === 'm/7300') first.process.kill('SIGKILL');
    return 200;
  });
  expect((await world.post(whole, { 'idempotency-key': 'm' })).status).toBe(202);
  await expect.poll(() => receiver.counts().get('m/4500') ?? 0, { timeout: 120_000 }).toBeGreaterThan(3);
  expect(receiver.counts().has('m/5000'), 'nobody goes on behind a portion that is not settled').toBe(false);
  isBack = true;
  await first.ended;
  receiver.behave(({ id }) => (id === 'm/2500' ? 422 : 200));
  await world.startWorker(flow);
  await expect.poll(() => receiver.counts().size, { timeout: 120_000 }).toBe(lines);
  await eventually(() => world.messages(inbox)).toBe(0);
  const repeated = [...receiver.counts()].filter(([id, count]) => count > 1 && id !== 'm/4500').map(([id]) => id);
  const numbers = repeated.map((id) => Number(id.slice(2)));
  expect(Math.min(...numbers), 'before the portion of the kill').toBeGreaterThanOrEqual(7_000);
  expect(Math.max(...numbers), 'after the kill').toBeLessThan(7_400);
  expect(await world.messages(deadLetters)).toBe(1);
});

it.each([
  ['lines', 'ndjson', { lines: { contentType: 'application/json' } }, ['', '\n', '\n']],
  ['a list', 'json', { items: 'body.orders' }, ['{"orders":[', ',', ']}']],
] as const)(
  'a file of 20 MB is fetched, taken apart by %s and delivered',
  { timeout: 300_000 },
  async (_, ending, split, marks) => {
    const receiver = await startReceiver();
    const world = await startLargeWorld();
    const folder = join(world.volumes, 'exchange');
    await mkdir(folder);
    const orders = Array.from({ length: 2_000 }, (_item, no) => JSON.stringify({ no, fill: 'x'.repeat(10_000) }));
    const [begin, between, end] = marks;
    await writeFile(join(folder, 'orders.part'), begin + orders.join(between) + end);
    const flow = flowTo(receiver.url, {
      sources: [
        {
          name: 'in',
          file: { connectionRef: { name: 'exchange' }, match: [`*.${ending}`], every: '20ms', stableFor: '1ms' },
        },
      ],
      steps: [{ name: 'orders', split }],
      largeBodies: { largest: 64 * mebibyte },
    });
    const connections = { ...flow.connections, exchange: { file: { claim: 'exchange' } } };
    await world.startWorker({ ...flow, connections });
    await world.startIntake({ ...flow, connections });
    await rename(join(folder, 'orders.part'), join(folder, `orders.${ending}`));
    await expect.poll(() => receiver.counts().size, { timeout: 120_000 }).toBe(orders.length);
    await eventually(() => world.messages(inbox)).toBe(0);
    expect(receiver.calls.map(({ body }) => body)).toEqual(orders);
    expect(await readdir(join(folder, 'done'))).toEqual([`orders.${ending}`]);
    expect(await world.messages(deadLetters)).toBe(0);
    await eventually(() => world.bodyBytes()).toBe(0);
  },
);
