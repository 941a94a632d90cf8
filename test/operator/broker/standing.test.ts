import { describe, expect, test } from 'vitest';
import { createStanding } from '../../../operator/broker/standing.ts';
import type { StreamLag } from '../../../operator/reconcile/ports.ts';
import { inboxSpec } from './specs.ts';

const spec = inboxSpec('orders');
const [{ name: worker } = { name: '' }] = spec.consumers;

/** A clock, a meter that has looked a moment ago, and somebody who is asked. */
const world = () => {
  let now = 1_000;
  let asked = 0;
  let lookedAt: number | undefined;
  let lag: StreamLag | undefined;
  const standing = createStanding({ lag: () => lag, lookedAt: () => lookedAt }, () => now);
  return {
    pass: (ms: number) => {
      now += ms;
    },
    /** The meter looks now, at the stream or at one that is not there, and at its consumers when it says so. */
    meter: (seen: Partial<StreamLag> | 'gone' = {}) => {
      lookedAt = now;
      const figures = { messages: 0, bytes: 0, firstSequence: 1, lastSequence: 0, lastTime: undefined };
      const known = { account: 'A', stream: spec.name, ...figures, consumers: [], consumersAt: undefined };
      lag = seen === 'gone' ? undefined : { ...known, ...seen };
      now += 1;
    },
    now: () => now,
    asked: () => asked,
    stream: (wanted = spec) =>
      standing.stream('A', wanted, async () => {
        asked += 1;
        now += 1;
        const state = { name: spec.name, messages: 0, bytes: 0, firstSequence: 1, lastSequence: 0 };
        return { ...state, consumers: [{ name: worker, pending: 0, ackPending: 0, delivered: 0 }] };
      }),
    answer: (about?: unknown) =>
      standing.answer('A', spec.name, { name: 'last', about }, async () => {
        asked += 1;
        now += 1;
        return asked;
      }),
  };
};

describe('a stream that was found right', () => {
  test('stands for a while with the figures of the meter', async () => {
    const { stream, meter, pass, asked } = world();
    await stream();
    meter({ messages: 3, lastSequence: 3, bytes: 99, lastTime: '2026-01-01T00:00:00Z' });
    expect(await stream()).toMatchObject({ messages: 3, lastSequence: 3, bytes: 99, consumers: [{ name: worker }] });
    expect(asked()).toBe(1);
    pass(290_000);
    meter();
    await stream();
    expect(asked()).toBe(1);
    pass(10_000);
    meter();
    await stream();
    expect(asked(), 'what the meter does not show').toBe(2);
  });

  const doubts: readonly (readonly [string, (seen: ReturnType<typeof world>) => Promise<unknown>])[] = [
    ['the meter has not looked since', async ({ stream }) => stream()],
    [
      'the meter looked too long ago: NATS may be away',
      async ({ stream, meter, pass }) => {
        meter();
        pass(5_000);
        return stream();
      },
    ],
    [
      'it is gone',
      async ({ stream, meter }) => {
        meter('gone');
        return stream();
      },
    ],
    [
      'one of its consumers is gone',
      async ({ stream, meter, now }) => {
        meter({ consumersAt: now() });
        return stream();
      },
    ],
    [
      'something else is wanted',
      async ({ stream, meter }) => {
        meter();
        return stream({ ...spec, maxBytes: 1 });
      },
    ],
  ];
  test.each(doubts)('is asked for again when %s', async (_, again) => {
    const seen = world();
    seen.meter();
    await seen.stream();
    await again(seen);
    expect(seen.asked()).toBe(2);
  });

  test('stands when the meter saw the consumers before they were made, and when it saw them since', async () => {
    const { stream, meter, pass, now, asked } = world();
    const before = now();
    pass(10);
    await stream();
    meter({ consumersAt: before });
    await stream();
    meter({ consumersAt: now(), consumers: [{ name: worker, pending: 0, ackPending: 0, delivered: 0 }] });
    await stream();
    expect(asked()).toBe(1);
  });
});

describe('an answer', () => {
  test('stands while the stream does not move', async () => {
    const { answer, meter, pass } = world();
    meter({ lastSequence: 7 });
    expect(await answer()).toBe(1);
    meter({ lastSequence: 7 });
    expect(await answer()).toBe(1);
    meter({ lastSequence: 8 });
    expect([await answer(), await answer()], 'it is newer than what the meter saw').toEqual([2, 3]);
    meter({ lastSequence: 8 });
    expect(await answer()).toBe(3);
    expect(await answer({}), 'about something else').toBe(4);
    pass(60_000);
    meter({ lastSequence: 8 });
    expect(await answer()).toBe(5);
  });

  test('is asked for each time while the meter knows nothing', async () => {
    const { answer } = world();
    expect([await answer(), await answer()]).toEqual([1, 2]);
  });
});
