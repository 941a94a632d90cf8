import { describe, expect, it } from 'vitest';
import { backoffMs, delayMs, type Failure, failureOf, isShort, judge } from '../../../runtime/engine/retry.ts';
import { reconnect, reject, retry } from '../../../runtime/errors.ts';

const policy = { attempts: 3, initialMs: 1_000, maxMs: 8_000 };
const failed = (error: unknown): Failure => failureOf('out', 'out', error, false);

describe('what becomes of failures', () => {
  it.each<[string, unknown[], number, { attempts: number; dead: number; again: number }]>([
    ['a failure is repeated', [retry('A', '')], 0, { attempts: 1, dead: 0, again: 1 }],
    ['the last attempt makes a dead letter', [retry('A', '')], 2, { attempts: 3, dead: 1, again: 0 }],
    [
      'attempts beyond the last one too (the dead letter was refused)',
      [retry('A', '')],
      7,
      { attempts: 8, dead: 1, again: 0 },
    ],
    ['a rejection is final at once', [reject('A', '')], 0, { attempts: 1, dead: 1, again: 0 }],
    ['an unknown failure is repeated', [new Error('?')], 0, { attempts: 1, dead: 0, again: 1 }],
    ['so is a lost session', [reconnect('A', '')], 0, { attempts: 1, dead: 0, again: 1 }],
    ["credentials are nobody's attempt", [retry('A', '', { failure: 'fatal' })], 2, { attempts: 2, dead: 0, again: 1 }],
    ['one sink is final, the other repeated', [reject('A', ''), retry('B', '')], 0, { attempts: 1, dead: 1, again: 1 }],
    [
      'credentials of one sink do not save the other',
      [retry('A', '', { failure: 'fatal' }), retry('B', '')],
      2,
      { attempts: 3, dead: 1, again: 1 },
    ],
  ])('%s', (_, errors, before, expected) => {
    const { attempts, deadLetters, retries } = judge(policy, before, errors.map(failed));
    expect({ attempts, dead: deadLetters.length, again: retries.length }).toEqual(expected);
  });

  it.each<[string, unknown, boolean, Partial<Failure>]>([
    [
      'an instruction keeps its code',
      retry('HttpStatus503', 'x'),
      false,
      { code: 'HttpStatus503', class: 'transient' },
    ],
    ['a rejection is permanent', reject('A', 'x'), false, { instruction: 'reject', class: 'permanent' }],
    ['anything else is unexpected', new TypeError('x'), false, { code: 'Unexpected', instruction: 'retry' }],
    [
      'an abort after the deadline is a time-out',
      new DOMException('x', 'AbortError'),
      true,
      { code: 'AttemptTimeout' },
    ],
    ['what is thrown may be no error', 'text', false, { code: 'Unexpected', message: 'text' }],
  ])('%s', (_, error, timedOut, expected) => {
    expect(failureOf('out', 'out', error, timedOut)).toMatchObject(expected);
  });
});

describe('waits in memory', () => {
  it.each<[string, number, number, boolean]>([
    ['a short one', 2_000, 0, true],
    ['not a long one', 2_001, 0, false],
    ['while there is time', 2_000, 3_000, true],
    ['not for ever', 2_000, 3_001, false],
  ])('%s', (_, delay, spent, short) => {
    expect(isShort(delay, spent)).toBe(short);
  });
});

describe('back-off', () => {
  it.each([
    [1, 0, 1_000, 'never below initial'],
    [1, 1, 1_000, 'the first wait is initial'],
    [2, 0, 1_000, 'half of the doubled one at least'],
    [2, 1, 2_000, 'doubles'],
    [3, 1, 4_000, 'and again'],
    [9, 1, 8_000, 'up to max'],
    [9, 0, 4_000, 'with jitter there too'],
    [1_000, 1, 8_000, 'without overflow'],
  ])('attempt %i with chance %i waits %i ms (%s)', (attempts, chance, expected) => {
    expect(backoffMs(policy, attempts, () => chance)).toBe(expected);
  });

  it.each<[string, unknown[], number]>([
    ['a server that says when is heard', [retry('A', '', { afterMs: 20_000 })], 20_000],
    ['but not for ever', [retry('A', '', { afterMs: 1e12 })], 3_600_000],
    ['nor in the past', [retry('A', '', { afterMs: -5 })], 0],
    ['credentials wait longer each time', [retry('A', '', { failure: 'fatal' })], 2_000],
    ['a refused dead letter too', [reject('A', '')], 8_000],
    ['several failures wait for the slowest', [retry('A', ''), retry('B', '', { afterMs: 5_000 })], 5_000],
  ])('%s', (_, errors, expected) => {
    expect(delayMs(policy, { attempts: 1, waits: 1 }, errors.map(failed), () => 1)).toBe(expected);
  });
});
