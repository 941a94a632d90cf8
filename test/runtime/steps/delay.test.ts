import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Message } from '../../../runtime/message.ts';
import { delayStep } from '../../../runtime/steps/delay.ts';
import { stepConformance } from '../../conformance/step.ts';
import { attemptOf } from '../attempt.ts';
import { messageOf, scope } from './harness.ts';

stepConformance('delay', {
  definition: delayStep,
  config: { until: 'body.at' },
  bad: [
    ['no time', {}],
    ['two times', { for: '1s', until: 'body.at' }],
    ['what is no duration', { for: 'soon' }],
    ['what is no expression', { until: 'body.at +' }],
  ],
  passes: (index) => ({ no: index, at: '2020-01-01T00:00:00Z' }),
});

describe('delay', () => {
  beforeEach(() => void vi.useFakeTimers({ now: Date.parse('2026-01-31T12:00:00Z'), toFake: ['Date'] }));
  afterEach(() => void vi.useRealTimers());
  const run = async (config: unknown, message: Message, acceptedAt = Date.now()) => {
    const step = await delayStep.open(delayStep.config.parse(config), { scope, now: () => Date.now() } as never);
    return step.run(message, attemptOf({ acceptedAt }));
  };
  const waits = (afterMs: number) => ({ instruction: 'postpone', code: 'Delayed', afterMs });

  it('puts a message off until its time has come, from when it was accepted', async () => {
    const message = messageOf({});
    const acceptedAt = Date.now();
    await expect(run({ for: '1m30s' }, message, acceptedAt)).rejects.toMatchObject(waits(90_000));
    vi.setSystemTime(acceptedAt + 89_999);
    await expect(run({ for: '1m30s' }, message, acceptedAt)).rejects.toMatchObject(waits(1));
    vi.setSystemTime(acceptedAt + 90_000);
    expect(await run({ for: '1m30s' }, message, acceptedAt)).toBe(message);
  });

  it.each([
    ['2026-01-31T12:00:05Z', 5_000],
    ['2026-01-31T14:00:05.500+02:00', 5_500],
  ])('puts a message off until %s', async (at, afterMs) => {
    await expect(run({ until: 'body.at' }, messageOf({ at }))).rejects.toMatchObject(waits(afterMs));
  });

  it.each([
    ['a date alone', '2026-01-31'],
    ['a month that there is not', '2026-13-01T00:00:00Z'],
    ['a number', 5],
    ['null', null],
  ])('rejects %s', async (_, at) => {
    await expect(run({ until: 'body.at' }, messageOf({ at }))).rejects.toMatchObject({
      instruction: 'reject',
      code: 'NotATime',
    });
  });
});
