import { describe, expect, it } from 'vitest';
import type { Fault } from './broken-rules.ts';
import { disorder, inTime, repeated, startOrdered, startSender } from './ordered.ts';
import type { WorkerProcess } from './workshop.ts';

const partitions = 8;
const keys = Array.from({ length: 32 }, (_, index) => `k${index}`);

/** How many partitions each worker reads, in the order in which they were started, from what it said. */
const shares = (workers: readonly WorkerProcess[]): number[] =>
  workers.map((worker) => {
    const owned = new Set<string>();
    for (const line of worker.output().split('\n')) {
      if (!line.includes('"consumer":')) continue;
      const { msg, consumer, owner } = JSON.parse(line) as { msg: string; consumer: string; owner?: boolean };
      if (msg === 'the turn to read in order changed' && owner) owned.add(consumer);
      else if (msg === 'the turn to read in order changed' || msg === 'a partition is given up') owned.delete(consumer);
    }
    return owned.size;
  });
const sorted = (workers: readonly WorkerProcess[]) => shares(workers).toSorted((a, b) => b - a);

/** With what runs and one more round below the windows of all partitions: else the broker has no room for newer ones before the older ones. */
const mostWaiting = keys.length;

describe('partitions are divided among the workers', { timeout: 300_000 }, () => {
  it('of those that are added each gets its part, of those that stop the others; nothing comes twice or out of order', async () => {
    const { workshop, receiver, flow, send } = await startOrdered({ partitions, ackWaitMs: 30_000 });
    receiver.behave(() => new Promise((resolve) => setTimeout(() => resolve(200), 20)));
    const sender = startSender({ keys, send, receiver, mostWaiting });
    const first = await workshop.startWorker(flow);
    await inTime(() => shares([first])).toEqual([8]);
    const second = await workshop.startWorker(flow);
    await inTime(() => shares([first, second])).toEqual([4, 4]);
    const third = await workshop.startWorker(flow);
    await inTime(() => sorted([first, second, third])).toEqual([3, 3, 2]);
    expect(await first.stop()).toBe(0);
    expect(shares([first]), 'it says what it hands over').toEqual([0]);
    await inTime(() => shares([second, third])).toEqual([4, 4]);
    expect(await third.stop()).toBe(0);
    await inTime(() => shares([second])).toEqual([8]);
    const sent = await sender.stop();
    await inTime(() => workshop.messages('inbox_orders')).toBe(0);
    expect([disorder(receiver), repeated(receiver), receiver.counts().size]).toEqual([[], 0, sent.length]);
  });

  /** Receivers that take their time: when the first worker begins to give up, its lanes are full. */
  const killedMeanwhile = async (fault?: Fault) => {
    const { workshop, receiver, flow, send } = await startOrdered({ partitions });
    let chance = 7;
    receiver.behave(() => {
      chance = (chance * 48_271) % 2_147_483_647;
      return new Promise((resolve) => setTimeout(() => resolve(200), chance % 400));
    });
    const said = async (worker: WorkerProcess, text: string) =>
      await inTime(() => worker.output().includes(text)).toBe(true);
    const sender = startSender({ keys, send, receiver, mostWaiting });
    const first = await workshop.startWorker(flow, fault);
    await inTime(() => receiver.calls.length).toBeGreaterThan(100);
    const second = await workshop.startWorker(flow, fault);
    await said(first, 'a partition is given up');
    await first.kill();
    // The sender waits for what died: whoever hurries needs newer ones.
    sender.sendMore();
    await inTime(() => shares([second])).toEqual([8]);
    const third = await workshop.startWorker(flow, fault);
    await said(second, 'a partition is given up');
    await said(third, 'the turn to read in order changed');
    await third.kill();
    sender.sendMore();
    await inTime(() => shares([second])).toEqual([8]);
    const fourth = await workshop.startWorker(flow, fault);
    await inTime(() => shares([second, fourth])).toEqual([4, 4]);
    const before = receiver.calls.length;
    await inTime(() => receiver.calls.length).toBeGreaterThan(before + 10 * keys.length);
    const sent = await sender.stop();
    await inTime(() => workshop.messages('inbox_orders')).toBe(0);
    const counts = receiver.counts();
    return {
      disorder: disorder(receiver),
      missing: sent.filter((id) => !counts.has(id)),
      repeated: repeated(receiver),
      inFlight: 2 * flow.delivery.concurrency,
      deadLetters: await workshop.messages('dlq_orders'),
    };
  };

  it('who gives up and who takes over may be killed meanwhile: nothing is lost, and all stays in order', async () => {
    const { repeated: twice, inFlight, ...rest } = await killedMeanwhile();
    expect(rest).toEqual({ disorder: [], missing: [], deadLetters: 0 });
    expect(twice).toBeLessThanOrEqual(inFlight);
  });

  it('control: with workers that do not wait for each other the same run is out of order', async () => {
    const { disorder: found, missing } = await killedMeanwhile('hurried');
    expect(found.length).toBeGreaterThan(0);
    expect(missing).toEqual([]);
  });
});
