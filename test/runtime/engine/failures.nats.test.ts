import { describe, expect, it } from 'vitest';
import { percentDecoded } from '../../../runtime/nats/envelope.ts';
import { bucketSpec } from '../../operator/broker/specs.ts';
import { patient } from './shared-streams.ts';
import { eventually, flowTo, ids, startReceiver, startWorkshop, type Workshop } from './workshop.ts';

const sink = (name: string) => ({
  name,
  http: { connectionRef: { name: 'erp' }, method: 'POST', path: `/${name}` },
});
const letterOf = async (workshop: Workshop, part: string) => {
  const found = await workshop.manager.streams.getMessage('dlq_orders', { last_by_subj: `dlq.orders.${part}` });
  if (!found) throw new Error(`no dead letter of ${part}`);
  return { body: found.string(), header: (name: string) => found.header.get(name) };
};
const delivery = (changed: object) => ({ ...flowTo('').delivery, ...changed });

describe('failures', { timeout: 120_000 }, () => {
  it.each([
    ['in memory, without a trace in the broker, when the wait is short', '50ms', 0],
    ['by the broker, with a record, when the wait is long', '2500ms', 1],
  ])('are repeated %s; sinks that confirmed are not called again', async (_, wait, records) => {
    const [workshop, receiver] = await Promise.all([startWorkshop(patient), startReceiver()]);
    await workshop.publish(['m0']);
    receiver.behave((call, calls) =>
      call.path === '/b' && calls.filter(({ path }) => path === '/b').length < 3 ? 503 : 200,
    );
    const retry = { attempts: 3, backoff: { initial: wait, max: wait } };
    await workshop.startWorker(flowTo(receiver.url, { sinks: [sink('a'), sink('b')], delivery: delivery({ retry }) }));
    await eventually(() => workshop.messages('inbox_orders')).toBe(0);
    expect(receiver.calls.map(({ path }) => path).toSorted()).toEqual(['/a', '/b', '/b', '/b']);
    expect(await workshop.messages('dlq_orders')).toBe(0);
    expect(await workshop.messages('KV_state')).toBe(records);
    if (records === 0) return;
    const last = await workshop.manager.streams.getMessage('KV_state', { last_by_subj: '$KV.state.>' });
    expect(last?.header.get('KV-Operation'), 'the record is removed').toBe('DEL');
  });

  it('of one message in four at most wait in memory: the others are parked, and what works goes on', async () => {
    const [workshop, receiver] = await Promise.all([startWorkshop(patient), startReceiver()]);
    const [bad, good] = [ids(40), Array.from({ length: 40 }, (_, index) => `good${index}`)];
    receiver.behave(({ id }) => (id.startsWith('good') ? 200 : 503));
    await workshop.publish([...bad, ...good]);
    const retry = { attempts: 1000, backoff: { initial: '1s', max: '2s' } };
    await workshop.startWorker(flowTo(receiver.url, { delivery: delivery({ concurrency: 8, retry }) }));
    await eventually(() => good.filter((id) => !receiver.counts().has(id))).toEqual([]);
    // A parked one has a record; two of eight may wait without.
    await eventually(() => workshop.messages('KV_state')).toBeGreaterThanOrEqual(38);
    receiver.behave(() => 200);
    await eventually(() => workshop.messages('inbox_orders')).toBe(0);
  });

  it('become dead letters that carry everything when the attempts are used up', async () => {
    const [workshop, receiver] = await Promise.all([startWorkshop(patient), startReceiver()]);
    await workshop.publish(['m0'], { total: 1, text: 'å' });
    receiver.behave(() => 502);
    await workshop.startWorker(flowTo(receiver.url));
    await eventually(() => workshop.messages('inbox_orders')).toBe(0);
    expect(receiver.calls).toHaveLength(3);
    const letter = await letterOf(workshop, 'out');
    expect(JSON.parse(letter.body)).toEqual({ total: 1, text: 'å' });
    expect({
      id: letter.header('ce-id'),
      kept: letter.header('header-x-kept'),
      class: letter.header('kanava-class'),
      code: letter.header('kanava-code'),
      part: letter.header('kanava-part'),
      attempts: letter.header('kanava-attempts'),
      generation: letter.header('kanava-generation'),
      subject: letter.header('kanava-subject'),
    }).toEqual({
      id: 'm0',
      kept: 'yes',
      class: 'transient',
      code: 'HttpStatus502',
      part: 'out',
      attempts: '3',
      generation: '7',
      subject: 'inbox.orders.0.in',
    });
    expect(percentDecoded(letter.header('kanava-message'))).toContain('502');
    expect(Date.parse(letter.header('kanava-first-at'))).toBeLessThanOrEqual(
      Date.parse(letter.header('kanava-last-at')),
    );
  });

  it('that a step declares final are dead letters at once', async () => {
    const [workshop, receiver] = await Promise.all([startWorkshop(patient), startReceiver()]);
    await workshop.publish(['m0'], { other: 1 });
    const worker = await workshop.startWorker(
      flowTo(receiver.url, { steps: [{ name: 'big', filter: { when: 'body.total > 10' } }] }),
    );
    await eventually(() => workshop.messages('inbox_orders')).toBe(0);
    const letter = await letterOf(workshop, 'big');
    expect([letter.header('kanava-code'), letter.header('kanava-class'), letter.header('kanava-attempts')]).toEqual([
      'ExpressionFailed',
      'permanent',
      '1',
    ]);
    expect(receiver.calls).toEqual([]);
    // What a process writes arrives a little after it was written.
    await eventually(() => worker.output()).toContain('ExpressionFailed');
    expect(worker.output()).not.toContain('"other"');
  });

  it('of one sink do not keep the message from the others', async () => {
    const [workshop, receiver] = await Promise.all([startWorkshop({ ackWaitMs: 60_000 }), startReceiver()]);
    await workshop.publish(['m0']);
    receiver.behave(({ path }, calls) => (path === '/no' ? 400 : calls.length < 4 ? 503 : 200));
    await workshop.startWorker(flowTo(receiver.url, { sinks: [sink('no'), sink('slow')] }));
    await eventually(() => workshop.messages('inbox_orders')).toBe(0);
    expect((await letterOf(workshop, 'no')).header('kanava-code')).toBe('HttpStatus400');
    expect(receiver.calls.filter(({ path }) => path === '/no')).toHaveLength(1);
    expect(receiver.calls.at(-1)?.path).toBe('/slow');
    expect(await workshop.messages('dlq_orders')).toBe(1);
  });

  it('of credentials pause the worker, cost no attempt and make no dead letter', async () => {
    const [workshop, receiver] = await Promise.all([startWorkshop(patient), startReceiver()]);
    const sent = ids(200);
    await workshop.publish(sent);
    receiver.behave(() => 401);
    const worker = await workshop.startWorker(flowTo(receiver.url, { delivery: delivery({ concurrency: 8 }) }));
    const ready = async () => {
      const response = await fetch(`${worker.healthUrl}/readyz`);
      return [response.status, ((await response.json()) as { paused: unknown }).paused];
    };
    await eventually(ready).toEqual([503, { part: 'out', code: 'HttpStatus401' }]);
    // Those that ran when the first one failed, then one at a time: five tries of it.
    await eventually(() => receiver.calls.length).toBeGreaterThanOrEqual(13);
    expect(receiver.calls.length).toBeLessThan(60);
    const told = () => workshop.tenant.broker.paused('orders');
    // As the operator reads it.
    await eventually(told).toEqual({ part: 'out', code: 'HttpStatus401' });
    receiver.behave(() => 200);
    await eventually(() => workshop.messages('inbox_orders')).toBe(0);
    await eventually(ready).toEqual([200, false]);
    await eventually(told).toBeUndefined();
    expect(sent.filter((id) => !receiver.counts().has(id))).toEqual([]);
    expect(await workshop.messages('dlq_orders')).toBe(0);
  });

  it('by time-out end the attempt, not the worker', async () => {
    const [workshop, receiver] = await Promise.all([startWorkshop(patient), startReceiver()]);
    await workshop.publish(['m0', 'fine']);
    receiver.behave(({ id }) => (id === 'm0' ? 'hang' : 200));
    await workshop.startWorker(flowTo(receiver.url, { delivery: delivery({ timeout: '300ms', concurrency: 1 }) }));
    await eventually(() => workshop.messages('inbox_orders')).toBe(0);
    expect(receiver.counts()).toEqual(
      new Map([
        ['m0', 3],
        ['fine', 1],
      ]),
    );
    expect(await workshop.messages('dlq_orders')).toBe(1);
  });

  it('keep the message while the dead letter stream is full, and say so', async () => {
    const [workshop, receiver] = await Promise.all([startWorkshop(patient), startReceiver()]);
    await workshop.manager.streams.update('dlq_orders', { max_msgs: 1 });
    receiver.behave(() => 400);
    await workshop.publish(['m0', 'm1']);
    const worker = await workshop.startWorker(flowTo(receiver.url));
    await eventually(() => worker.output()).toContain('the dead letter was refused');
    expect(await workshop.messages('inbox_orders')).toBe(1);
    await workshop.manager.streams.update('dlq_orders', { max_msgs: -1 });
    await eventually(() => workshop.messages('inbox_orders')).toBe(0);
    expect(await workshop.messages('dlq_orders')).toBe(2);
  });

  it('to remember an attempt keep the message until the bucket is back', async () => {
    const [workshop, receiver] = await Promise.all([startWorkshop(patient), startReceiver()]);
    await workshop.manager.streams.delete('KV_state');
    receiver.behave((_, calls) => (calls.length < 2 ? 503 : 200));
    await workshop.publish(['m0', 'm1']);
    const retry = { attempts: 3, backoff: { initial: '2500ms', max: '2500ms' } };
    const worker = await workshop.startWorker(flowTo(receiver.url, { delivery: delivery({ retry }) }));
    await eventually(() => worker.output()).toContain('the state bucket refused a record');
    await eventually(() => worker.output()).toContain('given back to the broker');
    await workshop.tenant.broker.ensureStream(bucketSpec('state'));
    await eventually(() => workshop.messages('inbox_orders')).toBe(0);
    expect(receiver.counts()).toEqual(
      new Map([
        ['m0', 2],
        ['m1', 1],
      ]),
    );
  });

  it('to read an entry are dead letters of the first part', async () => {
    const [workshop, receiver] = await Promise.all([startWorkshop(patient), startReceiver()]);
    const admin = await workshop.tenant.admin();
    admin.publish('inbox.orders.0.in', 'not an envelope');
    await workshop.startWorker(flowTo(receiver.url));
    await eventually(() => workshop.messages('dlq_orders')).toBe(1);
    const letter = await letterOf(workshop, 'out');
    expect([letter.header('kanava-code'), letter.body]).toEqual(['NoEnvelope', 'not an envelope']);
  });
});

describe('shutting down', { timeout: 120_000 }, () => {
  it('runs nothing twice, loses nothing, and exits with 0', async () => {
    // What is not given back would come again too late for this test.
    const [workshop, receiver] = await Promise.all([startWorkshop({ ackWaitMs: 600_000 }), startReceiver()]);
    const sent = ids(600);
    await workshop.publish(sent);
    receiver.behave(() => new Promise((resolve) => setTimeout(() => resolve(200), 30)));
    const first = await workshop.startWorker(flowTo(receiver.url));
    await eventually(() => receiver.calls.length).toBeGreaterThan(100);
    expect(await first.stop()).toBe(0);
    const done = receiver.counts().size;
    expect(done).toBeLessThan(600);
    await workshop.startWorker(flowTo(receiver.url));
    await eventually(() => workshop.messages('inbox_orders')).toBe(0);
    expect([...receiver.counts().entries()].filter(([, count]) => count > 1)).toEqual([]);
    expect(receiver.counts().size).toBe(600);
  });
});

describe('a broker that restarts', { timeout: 120_000 }, () => {
  it('is survived without losing anything', async () => {
    const [workshop, receiver] = await Promise.all([startWorkshop(), startReceiver()]);
    const sent = ids(1_000);
    await workshop.publish(sent);
    receiver.behave(() => new Promise((resolve) => setTimeout(() => resolve(200), 20)));
    await workshop.startWorker(flowTo(receiver.url));
    await eventually(() => receiver.calls.length).toBeGreaterThan(200);
    await workshop.world.kill();
    await workshop.world.start();
    await eventually(() => workshop.messages('inbox_orders').catch(() => -1)).toBe(0);
    expect(sent.filter((id) => !receiver.counts().has(id))).toEqual([]);
    expect(await workshop.messages('dlq_orders')).toBe(0);
  });
});
