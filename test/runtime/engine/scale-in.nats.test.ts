import { describe, expect, it } from 'vitest';
import { eventually, flowTo, ids, startReceiver, startWorkshop, type WorkerProcess } from './workshop.ts';

const hold = (ms: number) => new Promise<number>((resolve) => setTimeout(() => resolve(200), ms));

/** Workers come and go while messages flow: 1, 5, 1, none, and again; then one does the rest. */
const scaledUnderLoad = async (leave: (worker: WorkerProcess) => Promise<unknown>) => {
  // As in production, so that nothing comes back before its time.
  const [workshop, receiver] = await Promise.all([startWorkshop({ ackWaitMs: 30_000 }), startReceiver()]);
  const flow = flowTo(receiver.url, { delivery: { ...flowTo('').delivery, concurrency: 8 } });
  receiver.behave(() => hold(100));
  const sent: string[] = [];
  /** As long as workers come and go there is work: how long they take to start does not matter. */
  const feed = async (signal: AbortSignal) => {
    for (; !signal.aborted; await hold(20)) {
      if ((await workshop.messages('inbox_orders')) > 200) continue;
      const more = ids(100).map((id) => `${id}-${sent.length}`);
      await workshop.publish(more);
      sent.push(...more);
    }
  };
  const fed = new AbortController();
  const feeding = feed(fed.signal);
  let scaledInWhileBusy = 0;
  const workers: WorkerProcess[] = [];
  const scaleTo = async (count: number) => {
    const leaving = workers.splice(count);
    if (leaving.length > 0 && (await workshop.messages('inbox_orders')) > 0) scaledInWhileBusy += leaving.length;
    const codes = await Promise.all(leaving.map(leave));
    workers.push(
      ...(await Promise.all(Array.from({ length: count - workers.length }, () => workshop.startWorker(flow)))),
    );
    return codes;
  };
  const progress = async (more: number) => {
    const from = receiver.calls.length;
    await eventually(() => receiver.calls.length).toBeGreaterThan(from + more);
  };
  const codes: unknown[] = [];
  for (let round = 0; round < 2; round += 1)
    for (const count of [1, 5, 1, 0]) {
      codes.push(...(await scaleTo(count)));
      if (count > 0) await progress(20);
    }
  fed.abort();
  await feeding;
  receiver.behave(() => 200);
  await scaleTo(1);
  await eventually(() => workshop.messages('inbox_orders')).toBe(0);
  const counts = receiver.counts();
  return {
    lost: sent.filter((id) => !counts.has(id)).length,
    twice: [...counts.values()].filter((count) => count > 1).length,
    deadLetters: await workshop.messages('dlq_orders'),
    codes: [...new Set(codes)],
    scaledInWhileBusy,
  };
};

describe('scaling in', { timeout: 240_000 }, () => {
  it('loses nothing and sends nothing twice', async () => {
    const { scaledInWhileBusy, ...seen } = await scaledUnderLoad((worker) => worker.stop());
    expect(seen).toEqual({ lost: 0, twice: 0, deadLetters: 0, codes: [0] });
    expect(scaledInWhileBusy).toBe(10);
  });

  it('control: workers that do not drain send twice', async () => {
    const seen = await scaledUnderLoad((worker) => worker.kill());
    expect(seen.lost).toBe(0);
    expect(seen.twice).toBeGreaterThan(0);
  });
});
