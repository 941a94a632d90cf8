import { describe, expect, it } from 'vitest';
import type { Attempt, Fate, RunFlow, StepContext } from '../../../runtime/connector.ts';
import { reject } from '../../../runtime/errors.ts';
import type { Message } from '../../../runtime/message.ts';
import { tapStep } from '../../../runtime/steps/tap.ts';
import { stepConformance } from '../../conformance/step.ts';
import { attemptOf } from '../attempt.ts';
import { messageOf, silent } from './harness.ts';

stepConformance('tap', {
  definition: tapStep,
  config: { flow: 'audit' },
  bad: [
    ['no flow', {}],
    ['a time that is none', { flow: 'audit', timeout: 'soon' }],
  ],
  passes: (index) => ({ no: index }),
  flows: [{ name: 'audit', steps: [] }],
});

describe('tap', () => {
  const open = async (through: RunFlow, config: object = {}) => {
    const lines: unknown[] = [];
    const step = await tapStep.open(tapStep.config.parse({ flow: 'audit', ...config }), {
      flow: () => through,
      log: { ...silent, warn: (fields: unknown, text: string) => lines.push([text, fields]) },
    } as unknown as StepContext);
    return { step, lines };
  };
  const untilAborted = (_: Message, { signal }: Attempt) =>
    new Promise<Message>((_resolve, refuse) => {
      signal.addEventListener('abort', () => refuse(signal.reason as Error));
    });

  it('lets the message go on at once, while its copy is under way', async () => {
    const { promise, resolve } = Promise.withResolvers<Message>();
    const { step, lines } = await open(() => promise);
    const message = messageOf({ no: 7 });
    expect(step.run(message, attemptOf())).toBe(message);
    resolve(message);
    await step.close?.();
    expect(lines).toEqual([]);
  });

  it('says that a copy failed, whether its flow says so at once or later, and nothing else happens', async () => {
    for (const through of [
      () => {
        throw reject('Bad', 'it is bad');
      },
      () => Promise.reject(reject('Bad', 'it is bad')),
    ]) {
      const { step, lines } = await open(through);
      const message = messageOf({ no: 7 });
      expect(step.run(message, attemptOf())).toBe(message);
      await step.close?.();
      expect(lines).toEqual([
        ['a copy did not get through', { id: '1', flow: 'audit', reason: expect.stringContaining('it is bad') }],
      ]);
    }
  });

  it('ends a copy that is late, also one whose flow does not listen', async () => {
    for (const through of [untilAborted, () => new Promise<Message>(() => undefined)]) {
      const { step, lines } = await open(through, { timeout: '20ms' });
      void step.run(messageOf({}), attemptOf());
      await expect.poll(() => lines.length, { timeout: 60_000 }).toBe(1);
    }
  });

  it('ends what is under way when the worker ends', async () => {
    const { step, lines } = await open(() => new Promise<Message>(() => undefined));
    void step.run(messageOf({}), attemptOf());
    await step.close?.();
    expect(lines).toHaveLength(1);
  });

  it('leaves copies out while too many are under way', async () => {
    const { promise, resolve } = Promise.withResolvers<Message>();
    let copies = 0;
    const { step, lines } = await open(() => {
      copies += 1;
      return promise;
    });
    for (let index = 0; index < 70; index += 1) void step.run(messageOf({}), attemptOf());
    expect([copies, lines.length]).toEqual([64, 6]);
    resolve(messageOf({}));
    await step.close?.();
    void step.run(messageOf({}), attemptOf());
    expect(copies).toBe(65);
  });

  it("tells steps that remember of the copy's fate, not of the message's", async () => {
    const told: Fate[] = [];
    const remembers =
      (after: () => Message): RunFlow =>
      (_, attempt) => {
        attempt.settled(async (fate) => void told.push(fate));
        return after();
      };
    const good = await open(remembers(() => messageOf({})));
    const bad = await open(
      remembers(() => {
        throw reject('Bad', 'it is bad');
      }),
    );
    const attempt = attemptOf();
    for (const { step } of [good, bad]) {
      void step.run(messageOf({}), attempt);
      await step.close?.();
    }
    await attempt.settle('delivered');
    expect(told).toEqual(['delivered', 'withdrawn']);
  });
});
