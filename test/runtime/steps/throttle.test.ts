import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { throttleStep } from '../../../runtime/steps/throttle.ts';
import { stepConformance } from '../../conformance/step.ts';
import { attemptOf } from '../attempt.ts';
import { messageOf } from './harness.ts';

stepConformance('throttle', {
  definition: throttleStep,
  config: { rate: 1_000_000, per: '1s' },
  bad: [
    ['no rate', { per: '1s' }],
    ['no time', { rate: 1 }],
    ['a burst of none', { rate: 1, per: '1s', burst: 0 }],
    ['half a message', { rate: 0.5, per: '1s' }],
  ],
  passes: (index) => ({ no: index }),
});

describe('throttle', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
  afterEach(() => void vi.useRealTimers());
  const open = async (config: unknown) => {
    const step = await throttleStep.open(throttleStep.config.parse(config), {} as never);
    const started = performance.now();
    /** When each went on (ms from the start), or the code and time after which it is to ask again. */
    const said: unknown[] = [];
    const come = async (count: number, signal = new AbortController().signal) => {
      for (let index = 0; index < count; index += 1) {
        void Promise.resolve()
          .then(() => step.run(messageOf({}), attemptOf({ signal })))
          .then(
            () => said.push(performance.now() - started),
            ({ instruction, code, afterMs }: { instruction: string; code: string; afterMs: number }) =>
              said.push(`${instruction} ${code} ${Math.round(afterMs)}`),
          );
      }
      await vi.advanceTimersByTimeAsync(0);
    };
    return { come, said, pass: (ms: number) => vi.advanceTimersByTimeAsync(ms) };
  };

  it('lets one after the other through, evenly', async () => {
    const { come, said, pass } = await open({ rate: 10, per: '1s' });
    await come(4);
    expect(said).toEqual([0]);
    await pass(10_000);
    expect(said).toEqual([0, 100, 200, 300]);
  });

  it('lets a burst through at once, and another when there was time enough', async () => {
    const { come, said, pass } = await open({ rate: 1, per: '1s', burst: 3 });
    await come(4);
    await pass(999);
    expect(said).toEqual([0, 0, 0]);
    await pass(1);
    expect(said).toEqual([0, 0, 0, 1_000]);
    await pass(100_000);
    await come(3);
    expect(said.slice(4), 'time that passed makes no larger burst').toEqual([101_000, 101_000, 101_000]);
  });

  it('puts off what would wait for longer than five seconds; it takes no place', async () => {
    const { come, said, pass } = await open({ rate: 1, per: '3s' });
    await come(4);
    await pass(0);
    expect(said).toEqual([0, 'postpone Throttled 6000', 'postpone Throttled 6000']);
    await pass(6_000);
    await come(1);
    expect(said.slice(3)).toEqual([3_000, 6_000]);
  });

  it('ends waiting with the attempt, as nobody’s attempt', async () => {
    const { come, said } = await open({ rate: 1, per: '3s' });
    const attempt = new AbortController();
    await come(2, attempt.signal);
    attempt.abort();
    await vi.advanceTimersByTimeAsync(0);
    expect(said).toEqual([0, 'postpone Throttled 3000']);
    expect(vi.getTimerCount()).toBe(0);
  });
});
