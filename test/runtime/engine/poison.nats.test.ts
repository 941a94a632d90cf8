import { expect, it } from 'vitest';
import { eventually, flowTo, ids, startReceiver, startWorkshop } from './workshop.ts';

/*
 * Messages that end the process that runs them, in ways that no code can catch. Three deliveries that nothing explains make suspects, then
 * three deaths alone make one dead letter: six workers die of it at most (a slow death outlives AckWait and counts for more than one
 * delivery), and whatever was beside it in their hands is delivered.
 */
const smallHeap = ['--max-old-space-size=64'];

it.each([
  ['a fault in native code', 'fault', ['SIGSEGV']],
  // V8 aborts; a container without swap may be faster.
  ['a heap that is full', 'memory', ['SIGABRT', 'SIGKILL', 'SIGTRAP']],
] as const)('%s is the end of one message only', { timeout: 180_000 }, async (_, harm, signals) => {
  const [workshop, receiver] = await Promise.all([startWorkshop(), startReceiver()]);
  const healthy = { n: 0, fails: 0, rejected: false };
  const sent = ids(40);
  await workshop.publish(sent.slice(0, 20), healthy);
  await workshop.publish(['killer'], { ...healthy, harm });
  await workshop.publish(sent.slice(20), healthy);
  const flow = flowTo(receiver.url, { steps: [{ name: 'planned', planned: {} }] });
  const start = () => workshop.startWorker(flow, 'none', { node: smallHeap });

  const deaths: (string | null)[] = [];
  let worker = await start();
  const over = async () => worker.process.signalCode !== null || (await workshop.messages('inbox_orders')) === 0;
  for (;;) {
    await eventually(over).toBe(true);
    if (worker.process.signalCode === null) break;
    deaths.push(worker.process.signalCode);
    expect(deaths.length, 'at most three to be suspected, then three alone').toBeLessThanOrEqual(6);
    worker = await start();
  }

  const letter = await workshop.manager.streams.getMessage('dlq_orders', { last_by_subj: 'dlq.>' });
  const header = (name: string) => letter?.header.get(name);
  expect([header('ce-id'), header('kanava-class'), header('kanava-code')]).toEqual(['killer', 'poison', 'WorkerDied']);
  expect(await workshop.messages('dlq_orders')).toBe(1);
  expect(sent.filter((id) => !receiver.counts().has(id))).toEqual([]);
  expect(deaths.length, 'three of them alone').toBeGreaterThanOrEqual(3);
  expect(deaths.filter((death) => !signals.some((signal) => signal === death))).toEqual([]);
});
