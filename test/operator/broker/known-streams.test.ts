import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Found, Seen } from '../../../operator/broker/jetstream-figures.ts';
import { knownStreams } from '../../../operator/broker/known-streams.ts';

const found = (messages: number, pending = 0): Found => ({
  isLeader: true,
  state: { messages, bytes: 0, first_seq: 1, last_seq: messages, last_ts: '0001-01-01T00:00:00Z' },
  consumers: [{ name: 'worker', pending, ackPending: 0, delivered: 0 }],
});
const seen = (streams: Readonly<Record<string, number>>): Seen =>
  new Map([['A', new Map(Object.entries(streams).map(([name, messages]) => [name, found(messages)]))]]);
const names = (lags: readonly { readonly stream: string }[]) => lags.map(({ stream }) => stream).sort();

describe('what is known of streams', () => {
  test('only what is new is told; consumers are those of the last look at them', () => {
    const known = knownStreams();
    known.nextLook();
    expect(names(known.take(seen({ a: 1, b: 1 }), 10, false))).toEqual(['a', 'b']);
    expect(known.lag('A', 'a')).toMatchObject({ messages: 1, consumers: [], consumersAt: undefined });
    known.nextLook();
    expect(names(known.take(seen({ a: 1, b: 2 }), 20, true))).toEqual(['a', 'b']);
    expect(known.lag('A', 'b')).toMatchObject({ messages: 2, consumers: [{ name: 'worker' }], consumersAt: 20 });
    known.keepConsumers('A', 30);
    expect(known.all().map(({ consumersAt }) => consumersAt)).toEqual([30, 30]);
    expect(known.take(seen({ a: 9 }), 19, false), 'an older look that comes late').toEqual([]);
  });

  /** Each look shows some of the streams; where they are the same as before and none of them moved, only the list is told again. */
  const kinds = ['again', 'again', 'again', 'still', 'still', 'moved', 'others'] as const;
  const looks = fc.array(fc.record({ kind: fc.constantFrom(...kinds), others: fc.subarray(['a', 'b', 'c', 'd']) }), {
    minLength: 3,
    maxLength: 30,
  });
  test('streams are gone, once, when two looks did not show them, however long nothing moved', () => {
    fc.assert(
      fc.property(looks, (series) => {
        const known = knownStreams();
        const lastShown = new Map<string, number>();
        let before: readonly string[] | undefined;
        for (const [look, { kind, others }] of series.entries()) {
          known.nextLook();
          const shown = before && kind !== 'others' ? before : others;
          const isSame = shown === before;
          // The server says nothing of an account without streams.
          if (isSame && kind === 'still') known.still('A');
          else if (isSame && kind === 'again') known.keep({ account: 'A', streams: shown });
          else if (shown.length > 0)
            known.take(seen(Object.fromEntries(shown.map((name) => [name, look]))), look, false);
          before = shown;
          for (const name of shown) lastShown.set(name, look);
          const expected = [...lastShown].filter(([, at]) => look - at >= 2).map(([name]) => name);
          for (const name of expected) lastShown.delete(name);
          const { streams, accounts } = known.dropGone();
          expect(names(streams)).toEqual(expected.sort());
          expect(accounts).toEqual(expected.length > 0 && lastShown.size === 0 ? ['A'] : []);
          expect(names(known.all())).toEqual([...lastShown.keys()].sort());
        }
      }),
      { numRuns: 500 },
    );
  });
});
