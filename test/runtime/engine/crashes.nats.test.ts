import { describe, expect, it } from 'vitest';
import type { Fault } from './broken-rules.ts';
import { eventually, flowTo, ids, startReceiver, startWorkshop, type WorkerProcess } from './workshop.ts';

const hold = (ms: number) => new Promise<number>((resolve) => setTimeout(() => resolve(200), ms));

/**
 * 2,000 messages, two SIGKILLs in the middle. The sink takes a message 20 ms after it came, if whoever sent it is still there: so each kill
 * meets many that came and were not taken.
 */
const killedUnderLoad = async (fault?: Fault) => {
  const [workshop, receiver] = await Promise.all([startWorkshop(), startReceiver()]);
  const sent = ids(2_000);
  await workshop.publish(sent);
  const taken = new Set<string>();
  const startWorker = async (killAt: number): Promise<WorkerProcess> => {
    const started = Promise.withResolvers<WorkerProcess>();
    receiver.behave(async ({ id }) => {
      const { process: sender } = await started.promise;
      if (receiver.calls.length >= killAt) sender.kill('SIGKILL');
      await hold(20);
      if (!sender.killed) taken.add(id);
      return 200;
    });
    const worker = await workshop.startWorker(flowTo(receiver.url), fault);
    started.resolve(worker);
    return worker;
  };
  for (const killAt of [300, 900]) await (await startWorker(killAt)).ended;
  await startWorker(Number.POSITIVE_INFINITY);
  await eventually(() => workshop.messages('inbox_orders')).toBe(0);
  return {
    lost: sent.filter((id) => !taken.has(id)).length,
    unknown: [...taken].filter((id) => !sent.includes(id)).length,
    deadLetters: await workshop.messages('dlq_orders'),
  };
};

/** One message; the worker dies five times in the middle of it, then the sink fails once. */
const fiveDeaths = async (fault?: Fault) => {
  const [workshop, receiver] = await Promise.all([startWorkshop(), startReceiver()]);
  await workshop.publish(['m0']);
  receiver.behave(() => 'hang');
  for (let death = 1; death <= 5; death += 1) {
    const worker = await workshop.startWorker(flowTo(receiver.url), fault);
    await eventually(() => receiver.calls.length).toBe(death);
    await worker.kill();
  }
  let failed = false;
  const recorded: number[] = [];
  receiver.behave(async () => {
    if (!failed) {
      failed = true;
      return 503;
    }
    const record = await workshop.manager.streams.getMessage('KV_state', { last_by_subj: '$KV.state.>' });
    recorded.push(record?.json<{ attempts: number }>().attempts ?? 0);
    return 200;
  });
  await workshop.startWorker(flowTo(receiver.url), fault);
  await eventually(() => workshop.messages('inbox_orders')).toBe(0);
  return { recorded, deadLetters: await workshop.messages('dlq_orders') };
};

describe('workers that are killed', { timeout: 180_000 }, () => {
  it('lose nothing of 2,000 messages', async () => {
    expect(await killedUnderLoad()).toEqual({ lost: 0, unknown: 0, deadLetters: 0 });
  });

  it('control: with the ack before the sinks, messages are lost', async () => {
    expect((await killedUnderLoad('ack-before-sink')).lost).toBeGreaterThan(0);
  });

  it('cost no attempt: five deaths and one failure are one attempt', async () => {
    expect(await fiveDeaths()).toEqual({ recorded: [1], deadLetters: 0 });
  });

  it('control: counting deliveries makes a dead letter of a healthy message', async () => {
    expect((await fiveDeaths('count-deliveries')).deadLetters).toBe(1);
  });

  it('make a dead letter of the one message that kills them, and of no other', async () => {
    const [workshop, receiver] = await Promise.all([startWorkshop(), startReceiver()]);
    const sent = [...ids(20), 'killer'];
    await workshop.publish(sent);
    let worker = await workshop.startWorker(flowTo(receiver.url));
    const alive = () => worker.process.exitCode === null && worker.process.signalCode === null;
    receiver.behave(({ id }) => {
      if (id !== 'killer') return hold(20);
      worker.process.kill('SIGKILL');
      return 'hang';
    });
    await eventually(async () => {
      if (!alive()) worker = await workshop.startWorker(flowTo(receiver.url));
      return await workshop.messages('inbox_orders');
    }).toBe(0);
    const letter = await workshop.manager.streams.getMessage('dlq_orders', { last_by_subj: 'dlq.>' });
    expect(letter?.header.get('kanava-class')).toBe('poison');
    expect(letter?.header.get('ce-id')).toBe('killer');
    expect(await workshop.messages('dlq_orders')).toBe(1);
    expect(ids(20).filter((id) => !receiver.counts().has(id))).toEqual([]);
  });
});
