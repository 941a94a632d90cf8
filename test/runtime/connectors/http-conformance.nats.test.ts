import type { ServerResponse } from 'node:http';
import { expect, it, onTestFinished } from 'vitest';
import { catalog } from '../../../runtime/catalog.ts';
import type { GatewaySource, SinkDefinition } from '../../../runtime/connector.ts';
import { createEgress } from '../../../runtime/egress.ts';
import { travelled } from '../../conformance/journey.ts';
import { type SinkUnderTest, sinkConformance } from '../../conformance/sink.ts';
import { gatewaySourceConformance } from '../../conformance/source.ts';
import { flowTo, ids, startWorkshop } from '../engine/workshop.ts';
import { startTarget } from './target.ts';

gatewaySourceConformance('http', {
  definition: catalog.sources.get('http') as GatewaySource,
  config: { path: '/orders', idHeader: 'x-delivery' },
  bad: [
    ['no path', {}],
    ['a path that is none', { path: 'orders' }],
    ['two ways to authenticate', { path: '/orders', auth: { bearer: {}, hmac: {} } }],
  ],
  request: {
    method: 'POST',
    path: '',
    headers: { 'content-type': 'application/json', 'x-delivery': '7' },
    body: Buffer.from('{"no": 7}'),
  },
});

/** A server that takes, holds or drops requests; `answerMs` is what it takes for each. */
const makeServer = async (answerMs = 0): Promise<SinkUnderTest> => {
  const target = await startTarget();
  onTestFinished(() => target[Symbol.asyncDispose]());
  const effects: string[] = [];
  let held: (() => void)[] = [];
  const confirm = (response: ServerResponse, id: unknown) => {
    effects.push(String(id));
    response.writeHead(204).end();
  };
  const take: typeof target.answer = (response, { headers }) =>
    void setTimeout(() => confirm(response, headers['ce-id']), answerMs);
  target.answer = take;
  const url = `http://127.0.0.1:${target.port}`;
  return {
    context: {
      egress: createEgress({ allow: [{ cidr: '127.0.0.1/32' }], closed: [] }),
      connection: { url },
      publish: () => Promise.reject(new Error('http publishes nothing')),
    },
    connections: { erp: { http: { url } } },
    other: {
      effects: async () => effects,
      async hold() {
        target.answer = (response, seen) => void held.push(() => take(response, seen));
      },
      reached: async (count) => {
        await expect.poll(() => held.length, { timeout: 60_000 }).toBeGreaterThanOrEqual(count);
      },
      async answer() {
        target.answer = take;
        for (const go of held) go();
        held = [];
      },
      async leave() {
        target.answer = (response) => response.destroy();
      },
      async back() {
        target.answer = take;
      },
      sessions: target.open,
    },
  };
};

sinkConformance('http', {
  definition: catalog.sinks.get('http') as SinkDefinition,
  config: { connectionRef: { name: 'erp' }, path: '/invoices' },
  bad: [
    ['no Connection', {}],
    ['a method that sends no message', { connectionRef: { name: 'erp' }, method: 'GET' }],
    ['a path that is none', { connectionRef: { name: 'erp' }, path: 'invoices' }],
  ],
  make: () => makeServer(),
});

it('control: with the ack before the sinks, the suite sees that messages are lost', { timeout: 300_000 }, async () => {
  const workshop = await startWorkshop();
  const { other, connections } = await makeServer(50);
  const expected = ids(60);
  await workshop.publish(expected);
  const { lost } = await travelled({
    workshop,
    flow: {
      sinks: [{ name: 'out', http: { connectionRef: { name: 'erp' } } }],
      connections: connections ?? {},
      // What it holds and has not begun is what is lost: the server takes its time, so there is some.
      delivery: { ...flowTo('').delivery, concurrency: 4 },
    },
    expected,
    arrived: other.effects,
    left: () => workshop.messages('inbox_orders'),
    fault: 'ack-before-sink',
  });
  expect(lost.length).toBeGreaterThan(0);
});
