import { dirname } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { planBuckets } from '../../../operator/plan/buckets.ts';
import { catalog } from '../../../runtime/catalog.ts';
import type { Flow } from '../../../runtime/flow.ts';
import { type Gateway, startGateway } from '../../../runtime/gateway/gateway.ts';
import {
  eventually,
  flowTo,
  type Receiver,
  silent,
  startReceiver,
  startWorkshop,
  type Workshop,
} from '../engine/workshop.ts';
import { entryOf } from './tenant.ts';

/*
 * Requests that are repeated with one Idempotency-Key, over two gateways of a tenant; what a sender sees, and how often the flow ran.
 */
let workshop: Workshop;
let receiver: Receiver;
let gateways: Gateway[];

const startOne = async (): Promise<Gateway> => {
  const gateway = await startGateway({
    tenant: 'acme',
    catalog,
    folder: dirname(await workshop.tenant.folder('gateway')),
    port: 0,
    answered: () => undefined,
    closed: () => undefined,
    log: silent,
  });
  onTestFinished(() => gateway.stop(0));
  return gateway;
};
const sources = [
  { name: 'in', http: { path: '/quote', reply: { statusHeader: 'X-Status', headers: ['Location', 'x-note'] } } },
  { name: 'other', http: { path: '/other', reply: { status: 201 } } },
];
const flow = (): Flow =>
  flowTo(receiver.url, {
    sources,
    steps: [
      { name: 'valid', validate: { schema: { type: 'object', required: ['total'] } } },
      {
        name: 'shape',
        set: {
          body: { price: '=body.total * 2' },
          headers: { 'x-status': '=body[?"status"]', location: '="/quotes/" + string(int(body.total))', 'x-note': 'å' },
        },
      },
    ],
  });

beforeEach(async () => {
  [workshop, receiver] = await Promise.all([startWorkshop(), startReceiver()]);
  for (const bucket of planBuckets({ uid: 'tenant-uid', replicas: 1 }).filter(({ name }) => name !== 'KV_state'))
    await workshop.tenant.broker.ensureStream(bucket);
  gateways = await Promise.all([startOne(), startOne()]);
  await workshop.tenant.broker.putRoutes(entryOf('orders', sources));
  await workshop.startWorker(flow());
  await eventually(async () =>
    (await Promise.all([0, 1].map((at) => ask({ total: 1 }, { at })))).map((a) => a.status),
  ).toEqual([200, 200]);
  receiver.calls.length = 0;
});

const ask = async (
  body: unknown,
  { key, at = 0, path = 'quote' }: { key?: string; at?: number; path?: string } = {},
) => {
  const response = await fetch(`http://127.0.0.1:${gateways[at]?.port}/orders/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key === undefined ? {} : { 'idempotency-key': key }) },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    replayed: response.headers.get('idempotency-replayed'),
  };
};
const codeOf = ({ status, text }: { status: number; text: string }) => [
  status,
  (JSON.parse(text) as { code: string }).code,
];

describe('a repeat with the same key', { timeout: 180_000 }, () => {
  test('gets the first answer, of whichever gateway, and runs nothing', async () => {
    const first = await ask({ total: 20 }, { key: 'k1' });
    expect([first.status, first.replayed, first.text]).toEqual([200, null, '{"total":20,"price":40}']);
    for (const at of [0, 1]) {
      const again = await ask({ total: 20 }, { key: 'k1', at });
      expect([again.status, again.replayed, again.text]).toEqual([200, 'true', first.text]);
      expect(again.headers.get('content-type')).toBe('application/json');
      expect(again.headers.get('location')).toBe('/quotes/20');
    }
    expect(receiver.calls).toHaveLength(1);
    const others = [await ask({ total: 20 }), await ask({ total: 20 }), await ask({ total: 20 }, { key: 'k2' })];
    expect(
      others.map(({ replayed }) => replayed),
      'the control: no key, or another',
    ).toEqual([null, null, null]);
    expect(receiver.calls).toHaveLength(4);
  });

  test('is refused when the request is another one, and waits for nobody', async () => {
    await ask({ total: 20 }, { key: 'k1' });
    expect(codeOf(await ask({ total: 21 }, { key: 'k1', at: 1 }))).toEqual([422, 'KeyReused']);
    const elsewhere = await ask({ total: 21 }, { key: 'k1', path: 'other' });
    expect([elsewhere.status, elsewhere.replayed], 'keys are those of a source').toEqual([201, null]);
    expect(codeOf(await ask({ total: 20 }, { key: 'x'.repeat(256) }))).toEqual([400, 'KeyInvalid']);
    expect(receiver.calls).toHaveLength(2);
  });

  test('is told to come later while the first one runs, and of many at once one runs', async () => {
    const open = Promise.withResolvers<number>();
    receiver.behave(() => open.promise);
    const asked = Array.from({ length: 20 }, (_, index) => ask({ total: 20 }, { key: 'k1', at: index % 2 }));
    await eventually(() => receiver.calls.length).toBe(1);
    let told = 0;
    for (const answer of asked) void answer.then(() => (told += 1));
    await eventually(() => told).toBe(19);
    const early = await Promise.race(asked);
    expect(codeOf(early)).toEqual([409, 'RequestRunning']);
    expect(early.headers.get('retry-after')).toBe('1');
    open.resolve(200);
    const statuses = (await Promise.all(asked)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    expect(statuses.filter((status) => status === 409)).toHaveLength(19);
    expect((await ask({ total: 20 }, { key: 'k1' })).replayed).toBe('true');
    expect(receiver.calls).toHaveLength(1);
  });

  test('gets a refusal of the flow again; what failed on the way runs again', async () => {
    const refused = [await ask({ sum: 1 }, { key: 'bad' }), await ask({ sum: 1 }, { key: 'bad' })];
    expect(refused.map(({ status, replayed }) => [status, replayed])).toEqual([
      [422, null],
      [422, 'true'],
    ]);
    receiver.behave(() => 404);
    expect((await ask({ total: 20 }, { key: 'k1' })).status).toBe(502);
    receiver.behave(() => 200);
    const again = await ask({ total: 20 }, { key: 'k1' });
    expect([again.status, again.replayed]).toEqual([200, null]);
    expect(
      receiver.calls.map(({ id }) => id),
      'sinks see one id',
    ).toEqual(['k1', 'k1']);
  });

  test('runs when the gateway of the first one died with it, after the time that it had', async () => {
    receiver.behave(() => 'hang');
    const { manager } = workshop;
    const asked = ask({ total: 20 }, { key: 'k1' }).catch(() => undefined);
    await eventually(() => receiver.calls.length).toBe(1);
    const record = () => manager.direct.getMessage('KV_answer', { last_by_subj: '$KV.answer.orders.*' });
    expect((await record())?.header.get('Nats-TTL'), 'the deadline and a little more').toBe('35s');
    // What the server does then.
    await manager.streams.purge('KV_answer');
    receiver.behave(() => 200);
    expect((await ask({ total: 20 }, { key: 'k1', at: 1 })).status).toBe(200);
    await gateways[0]?.stop(0);
    await asked;
  });
});

test('the flow says status and headers of an answer', { timeout: 180_000 }, async () => {
  const created = await ask({ total: 20, status: 201 });
  expect([created.status, created.headers.get('location'), created.headers.get('x-note')]).toEqual([
    201,
    '/quotes/20',
    '%C3%A5',
  ]);
  expect(created.headers.get('x-status'), 'only those that are named').toBeNull();
  const empty = await ask({ total: 20, status: 204 });
  expect([empty.status, empty.text]).toEqual([204, '']);
  expect((await ask({ total: 20 })).status, 'nothing set').toBe(200);
  expect(codeOf(await ask({ total: 20, status: 'odd' }))).toEqual([502, 'StatusInvalid']);
  expect((await ask({ total: 20 }, { path: 'other' })).status).toBe(201);
});
