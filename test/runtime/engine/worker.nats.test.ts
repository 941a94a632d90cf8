import { describe, expect, it } from 'vitest';
import { patient } from './shared-streams.ts';
import { eventually, flowTo, ids, startReceiver, startWorkshop } from './workshop.ts';

describe('a worker process', () => {
  it('delivers what is stored, acks it, and leaves nothing behind', async () => {
    // Whoever stands still for longer than it may gets a message again: that is not what this is about.
    const [workshop, receiver] = await Promise.all([startWorkshop({ ackWaitMs: 60_000 }), startReceiver()]);
    await workshop.publish(ids(200));
    const worker = await workshop.startWorker(flowTo(receiver.url));
    await eventually(() => workshop.messages('inbox_orders')).toBe(0);
    expect([...receiver.counts().values()].every((count) => count === 1)).toBe(true);
    expect(receiver.counts().size).toBe(200);
    expect(await workshop.messages('KV_state')).toBe(0);
    expect(receiver.calls[0]).toMatchObject({ path: '/out', body: '{"total":20}' });
    expect(await worker.stop()).toBe(0);
  });

  it('runs steps, and what they filter is done', async () => {
    const [workshop, receiver] = await Promise.all([startWorkshop(patient), startReceiver()]);
    await workshop.startWorker(
      flowTo(receiver.url, {
        steps: [
          { name: 'big', filter: { when: 'body.total > 10' } },
          { name: 'shape', map: { body: { sum: '=body.total * 2', id: '=attrs.id' } } },
        ],
      }),
    );
    await workshop.publish(['small'], { total: 1 });
    await workshop.publish(['big'], { total: 20 });
    await eventually(() => workshop.messages('inbox_orders')).toBe(0);
    expect(receiver.calls.map(({ body }) => JSON.parse(body))).toEqual([{ sum: 40, id: 'big' }]);
    expect(await workshop.messages('dlq_orders')).toBe(0);
  });

  it('gives every sink its own condition', async () => {
    const [workshop, receiver] = await Promise.all([startWorkshop(patient), startReceiver()]);
    const sink = (name: string, when: string) => ({
      name,
      when,
      http: { connectionRef: { name: 'erp' }, method: 'POST', path: `/${name}` },
    });
    const sinks = [sink('dear', 'body.total > 10'), sink('cheap', 'body.total <= 10'), sink('both', 'true')];
    await workshop.startWorker(flowTo(receiver.url, { sinks }));
    await workshop.publish(['a'], { total: 1 });
    await workshop.publish(['b'], { total: 20 });
    await eventually(() => workshop.messages('inbox_orders')).toBe(0);
    expect(receiver.calls.map(({ id, path }) => `${id}${path}`).toSorted()).toEqual([
      'a/both',
      'a/cheap',
      'b/both',
      'b/dear',
    ]);
  });

  it('does not start with a flow that it cannot read, and says where', async () => {
    const workshop = await startWorkshop(patient);
    const flow = flowTo('http://127.0.0.1:1', { steps: [{ name: 'x', filter: { when: 'body +' } }] });
    await expect(workshop.startWorker(flow)).rejects.toThrow(/step .*x.* cannot be opened: filter\.when: not a CEL/);
    const newer = { ...flowTo('http://127.0.0.1:1'), version: 2 } as unknown as typeof flow;
    await expect(workshop.startWorker(newer)).rejects.toThrow('a flow of version 2, this program reads version 1');
  });
});
