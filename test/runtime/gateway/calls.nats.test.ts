import { dirname } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { catalog } from '../../../runtime/catalog.ts';
import type { Flow } from '../../../runtime/flow.ts';
import { startGateway } from '../../../runtime/gateway/gateway.ts';
import { bucketSpec } from '../../operator/broker/specs.ts';
import {
  type Behaviour,
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
 * Request-reply from HTTP to HTTP: a gateway, workers as processes of their own with their own credentials, a real server.
 */
let workshop: Workshop;
let receiver: Receiver;
let url: string;
const flow = (changed: Partial<Flow> = {}): Flow =>
  flowTo(receiver.url, {
    sources: [{ name: 'in', http: { path: '/quote', reply: {} } }],
    steps: [
      { name: 'valid', validate: { schema: { type: 'object', required: ['total'] } } },
      { name: 'worth-it', filter: { when: 'body.total > 10' } },
      { name: 'shape', map: { body: { price: '=body.total * 2' } } },
    ],
    ...changed,
  });

beforeEach(async () => {
  [workshop, receiver] = await Promise.all([startWorkshop(), startReceiver()]);
  for (const name of ['gateway', 'answer']) await workshop.tenant.broker.ensureStream(bucketSpec(name));
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
  url = `http://127.0.0.1:${gateway.port}/orders/quote`;
  await serve();
});

const serve = async (suspended = false) => {
  const sources = [
    { name: 'in', http: { path: '/quote', reply: { timeout: '60s' } } },
    { name: 'kept', http: { path: '/kept' } },
  ];
  const revision = await workshop.tenant.broker.putRoutes(entryOf('orders', sources, { suspended }));
  await eventually(async () => (await workshop.tenant.broker.applied('orders'))?.revision).toBe(revision);
};
const ask = async (body: unknown, headers: Record<string, string> = {}) => {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text };
};
const problemOf = ({ text }: { text: string }) => JSON.parse(text) as { status: number; code: string; detail: string };
const hang: Behaviour = () => 'hang';
/** Calls of the wake key, as the scaler sees them. */
const wakes = async () => {
  const seen: string[] = [];
  workshop.admin.subscribe('$KV.gateway.wake.*', { callback: (_, message) => void seen.push(message.subject) });
  await workshop.admin.flush();
  return seen;
};

describe('a worker that is awake', { timeout: 180_000 }, () => {
  test('answers with what the steps made, after the sinks have it, and nothing is stored', async () => {
    await workshop.startWorker(flow());
    const answer = await ask({ total: 20 }, { 'idempotency-key': 'k1' });
    expect([answer.status, answer.headers.get('content-type'), answer.text]).toEqual([
      200,
      'application/json',
      '{"price":40}',
    ]);
    expect(receiver.calls).toMatchObject([{ id: 'k1', body: '{"price":40}' }]);
    expect(await workshop.messages('inbox_orders')).toBe(0);
    expect((await workshop.manager.streams.info('inbox_orders')).state.last_seq, 'it never was in the inbox').toBe(0);
  });

  test('drops a call whose key was delivered, and none because of a call that failed', async () => {
    const once = { name: 'once', dedupe: { key: 'string(body.total)', window: '1h' } };
    await workshop.startWorker(flow({ steps: [once] }));
    receiver.behave((_, calls) => (calls.length === 1 ? 503 : 200));
    expect((await ask({ total: 20 })).status, 'the sink had a bad moment').toBe(502);
    expect((await ask({ total: 20 })).status).toBe(200);
    expect((await ask({ total: 20 })).status, 'no content').toBe(204);
    expect((await ask({ total: 21 })).status).toBe(200);
    expect(receiver.calls).toHaveLength(3);
  });

  test('says what is wrong: to the sender what concerns the message, and nothing of the systems behind', async () => {
    await workshop.startWorker(flow());
    expect((await ask({ total: 1 })).status, 'filtered: no content').toBe(204);

    const refused = await ask({ sum: 1 });
    expect(refused.headers.get('content-type')).toBe('application/problem+json');
    expect(problemOf(refused)).toMatchObject({ status: 422, detail: expect.stringContaining('step "valid"') });

    receiver.behave(() => 404);
    const failed = problemOf(await ask({ total: 20 }));
    expect(failed).toMatchObject({ status: 502, code: 'HttpStatus404', detail: '"out" failed' });
    expect(await workshop.messages('dlq_orders'), 'whoever asked knows: no dead letter').toBe(0);
  });

  test('has until the deadline, which the sender may shorten; then it is 504 and nobody asks again', async () => {
    await workshop.startWorker(flow());
    receiver.behave(hang);
    for (const [name, value] of [
      ['request-timeout', '0.5'],
      ['prefer', 'respond-async, wait=1'],
    ] as const) {
      const late = await ask({ total: 20 }, { [name]: value });
      expect(late.headers.get('content-type')).toBe('application/problem+json');
      expect(problemOf(late)).toMatchObject({ status: 504, code: 'CallTimeout' });
    }
    expect(receiver.calls.length).toBeLessThanOrEqual(2);
    expect(problemOf(await ask({ total: 20 }, { 'request-timeout': 'soon' })).status).toBe(400);
    receiver.behave(() => 200);
    expect((await ask({ total: 20 })).status, 'the worker went on').toBe(200);
  });

  test('is busy when it has as many in work as it may', async () => {
    await workshop.startWorker(flow({ delivery: { ...flow().delivery, concurrency: 2 } }));
    const open = Promise.withResolvers<number>();
    receiver.behave(() => open.promise);
    const first = [ask({ total: 20 }), ask({ total: 20 })];
    await eventually(() => receiver.calls.length).toBe(2);
    const third = await ask({ total: 20 });
    expect([third.status, problemOf(third).code]).toEqual([503, 'Busy']);
    open.resolve(200);
    expect((await Promise.all(first)).map(({ status }) => status)).toEqual([200, 200]);
  });

  test('finishes what it has when it is stopped; the others take the rest, each call once', async () => {
    const first = await workshop.startWorker(flow());
    await workshop.startWorker(flow());
    const open = Promise.withResolvers<number>();
    receiver.behave(() => open.promise);
    const early = Array.from({ length: 20 }, () => ask({ total: 20 }));
    await eventually(() => receiver.calls.length).toBe(20);
    const stopped = first.stop();
    await eventually(() => first.output()).toContain('stopping');
    const late = Array.from({ length: 20 }, () => ask({ total: 20 }));
    await eventually(() => receiver.calls.length).toBe(40);
    open.resolve(200);
    const answers = await Promise.all([...early, ...late]);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(await stopped).toBe(0);
    expect([...receiver.counts().values()].filter((count) => count !== 1)).toEqual([]);
  });

  test('that is killed leaves the call unanswered: 504, for it may have been worked on', async () => {
    const worker = await workshop.startWorker(flow());
    receiver.behave(hang);
    const asked = ask({ total: 20 }, { 'request-timeout': '8' });
    await eventually(() => receiver.calls.length).toBe(1);
    await worker.kill();
    await workshop.startWorker(flow());
    expect(problemOf(await asked)).toMatchObject({ status: 504, code: 'CallTimeout' });
    expect(receiver.calls).toHaveLength(1);
  });
});

describe('while no worker is awake', { timeout: 180_000 }, () => {
  test('a request is held, a worker is asked for, and the request goes to it', async () => {
    const seen = await wakes();
    const asked = ask({ total: 20 });
    await eventually(() => seen).toContain('$KV.gateway.wake.orders');
    await workshop.startWorker(flow());
    expect([(await asked).status, receiver.calls.length]).toEqual([200, 1]);
  });

  test('and none comes: 503 with Retry-After, after asking about once a second', async () => {
    const seen = await wakes();
    const started = performance.now();
    const asked = await Promise.all(Array.from({ length: 5 }, () => ask({ total: 20 }, { 'request-timeout': '3' })));
    for (const answer of asked) {
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '2']);
      expect(problemOf(answer).code).toBe('NoWorker');
    }
    expect(seen.length).toBeGreaterThan(0);
    const seconds = Math.ceil((performance.now() - started) / 1_000);
    expect(seen.length, 'for all five together').toBeLessThanOrEqual(seconds + 1);
  });

  test('only so many are held, the others are told at once', async () => {
    const refused: number[] = [];
    const asked = Array.from({ length: 80 }, async () => {
      const { status } = await ask({ total: 20 });
      if (status === 503) refused.push(status);
      return status;
    });
    await eventually(() => refused.length).toBe(16);
    await workshop.startWorker(flow());
    const statuses = await Promise.all(asked);
    expect(statuses.filter((status) => status === 200)).toHaveLength(64);
  });

  test('and it is suspended: nobody is woken', async () => {
    await serve(true);
    const seen = await wakes();
    const answer = await ask({ total: 20 });
    expect([answer.status, problemOf(answer).code, seen]).toEqual([503, 'Suspended', []]);
  });
});

test('calls are answered while the same Integration stores what comes in on another path', {
  timeout: 180_000,
}, async () => {
  await workshop.startWorker(flow({ sources: [{ name: 'in', http: { path: '/quote', reply: {} } }] }));
  const stored = await fetch(url.replace('/quote', '/kept'), { method: 'POST', body: '{"total": 30}' });
  expect(stored.status).toBe(202);
  expect((await ask({ total: 20 })).text).toBe('{"price":40}');
  await eventually(() => receiver.calls.map(({ body }) => body).toSorted()).toEqual(['{"price":40}', '{"price":60}']);
});
