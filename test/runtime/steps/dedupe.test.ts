import { describe, expect, it } from 'vitest';
import { createStepMemory } from '../../../runtime/engine/step-memory.ts';
import { dedupeStep } from '../../../runtime/steps/dedupe.ts';
import { createMemoryTransport } from '../../../runtime/transport/memory.ts';
import { attemptOf } from '../attempt.ts';
import { messageOf, scope } from './harness.ts';

const start = () => {
  let now = 0;
  const clock = { now: () => now, after: () => () => undefined };
  const memoryOf = createStepMemory(Promise.resolve(createMemoryTransport({ streams: [], clock })), 'orders');
  const step = async (name = 'once', key = 'body.no', window = '1h') => {
    const config = dedupeStep.config.parse({ key, window });
    return await dedupeStep.open(config, { scope, memory: memoryOf(name) } as never);
  };
  return {
    step,
    pass: (ms: number) => {
      now += ms;
    },
  };
};
type Step = Awaited<ReturnType<ReturnType<typeof start>['step']>>;
const invoice = (no: unknown, id = '1') =>
  messageOf({ no } as never, { attrs: { id, source: '/shop', type: 'order', specversion: '1.0' } });
/** What one attempt for a stored message says of it: `on`, `dropped` or the instruction. */
const attempted = async (step: Step, no: unknown, origin: string, id = origin) => {
  const attempt = attemptOf({ origin });
  const said = await Promise.resolve(step.run(invoice(no, id), attempt)).then(
    (result) => (result === undefined ? 'dropped' : 'on'),
    (error: { instruction?: string; code: string }) => `${error.instruction} ${error.code}`,
  );
  return { said, settle: attempt.settle };
};

describe('dedupe', () => {
  it('drops what was delivered, for as long as the window is', async () => {
    const { step, pass } = start();
    const once = await step();
    const first = await attempted(once, 7, 'a');
    expect(first.said).toBe('on');
    await first.settle('delivered');
    expect((await attempted(once, 7, 'b')).said).toBe('dropped');
    expect((await attempted(once, 8, 'c')).said).toBe('on');
    pass(3_599_000);
    expect((await attempted(once, 7, 'd')).said, 'what is dropped makes the window no longer').toBe('dropped');
    pass(2_000);
    expect((await attempted(once, 7, 'e')).said).toBe('on');
  });

  it('lets others wait until it is decided, and lets the message itself pass again', async () => {
    const once = await start().step();
    await attempted(once, 7, 'a');
    expect((await attempted(once, 7, 'b')).said).toBe('postpone DuplicateInWork');
    const again = await attempted(once, 7, 'a');
    expect(again.said, 'as after a failure, or a crash').toBe('on');
    await again.settle('delivered');
    expect((await attempted(once, 7, 'b')).said).toBe('dropped');
    expect((await attempted(once, 7, 'a')).said, 'a crash between the confirmation and the ack').toBe('dropped');
  });

  it('gives the key away when the message became a dead letter', async () => {
    const once = await start().step();
    await (await attempted(once, 7, 'a')).settle('withdrawn');
    const other = await attempted(once, 7, 'b');
    expect(other.said).toBe('on');
    expect((await attempted(once, 7, 'replay of a')).said).toBe('postpone DuplicateInWork');
    await other.settle('delivered');
    expect((await attempted(once, 7, 'replay of a')).said).toBe('dropped');
  });

  it('gives the key away in the end when a message never comes back; who had lost it changes nothing', async () => {
    const { step, pass } = start();
    const once = await step();
    const lost = await attempted(once, 7, 'a');
    pass(14 * 60_000);
    expect((await attempted(once, 7, 'b')).said).toBe('postpone DuplicateInWork');
    pass(61_000);
    const other = await attempted(once, 7, 'b');
    expect(other.said).toBe('on');
    await lost.settle('withdrawn');
    expect((await attempted(once, 7, 'c')).said).toBe('postpone DuplicateInWork');
  });

  it('takes the first of those that one message became, the same at every attempt', async () => {
    const once = await start().step();
    for (let attempt = 0; attempt < 2; attempt += 1) {
      expect((await attempted(once, 7, 'a', 'a/0')).said).toBe('on');
      expect((await attempted(once, 7, 'a', 'a/1')).said).toBe('dropped');
    }
  });

  it('knows the keys of its own step only, however they look', async () => {
    const { step } = start();
    const [one, other] = [await step('one'), await step('other')];
    await (await attempted(one, 'a.b *>\n', 'a')).settle('delivered');
    expect((await attempted(one, 'a.b *>\n', 'b')).said).toBe('dropped');
    expect((await attempted(other, 'a.b *>\n', 'c')).said).toBe('on');
  });

  it.each([
    ['a message without the key', 'body.none'],
    ['a key that is no text', 'body'],
  ])('rejects %s', async (_why, key) => {
    const { step } = start();
    expect((await attempted(await step('once', key), 7, 'a')).said).toBe('reject KeyMissing');
  });

  it.each(['999ms', '721h', '0s', 'soon'])('takes no window of %s', (window) => {
    expect(dedupeStep.config.safeParse({ key: 'body.no', window }).success).toBe(false);
  });
});
