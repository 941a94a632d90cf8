import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BusObserved, type BusStatus, busStatus } from '../../../operator/plan/bus-gap.ts';

const observed = (firstSequence: number, lastSequence: number, delivered: number, pending: number): BusObserved => ({
  firstSequence,
  lastSequence,
  delivered,
  pending,
});

describe('a subscriber of the bus', () => {
  it.each<[why: string, seen: BusObserved, previous: BusStatus | undefined, known: number, gap: BusStatus['gap']]>([
    ['begins without a gap', observed(1, 0, 0, 0), undefined, 0, undefined],
    ['that begins late has missed nothing: it starts at the end', observed(500, 900, 900, 0), undefined, 0, undefined],
    ['that is served up to the start has missed nothing', observed(500, 900, 499, 401), undefined, 0, undefined],
    [
      'that is behind the start has missed what lies between',
      observed(500, 900, 399, 401),
      undefined,
      0,
      { missed: 100, through: 499 },
    ],
    [
      'of a rare type is not behind while others fill the bus',
      observed(500, 900, 3, 0),
      { position: 700 },
      0,
      undefined,
    ],
    [
      'that slept while all its events expired has missed them, though nothing waits',
      observed(901, 900, 10, 0),
      { position: 10 },
      0,
      { missed: 890, through: 900 },
    ],
    [
      'keeps a gap until somebody knows of it',
      observed(500, 900, 900, 0),
      { position: 900, gap: { missed: 7, through: 480 } },
      479,
      { missed: 7, through: 480 },
    ],
    [
      'is well when somebody does',
      observed(500, 900, 900, 0),
      { position: 900, gap: { missed: 7, through: 480 } },
      480,
      undefined,
    ],
    [
      'adds what it misses later',
      observed(600, 900, 499, 301),
      { position: 499, gap: { missed: 7, through: 480 } },
      0,
      { missed: 107, through: 599 },
    ],
    [
      'has a new gap when only the earlier one is known',
      observed(600, 900, 499, 301),
      { position: 499, gap: { missed: 7, through: 480 } },
      480,
      { missed: 100, through: 599 },
    ],
    ['of a stream that was made anew begins anew', observed(1, 5, 0, 5), { position: 4_000 }, 0, undefined],
  ])('%s', (_, seen, previous, known, gap) => {
    expect(busStatus(seen, previous, known).gap).toEqual(gap);
  });

  it('is told once: the same look again finds nothing new', () => {
    const seen = observed(500, 900, 399, 401);
    const first = busStatus(seen, undefined, 0);
    expect(busStatus(seen, first, 0)).toEqual(first);
  });

  it('has its position written seldom', () => {
    let status: BusStatus | undefined;
    let writes = 0;
    for (let last = 1; last <= 100_000; last += 1) {
      const next: BusStatus = busStatus(observed(Math.max(1, last - 1_000), last, 0, 0), status, 0);
      if (next.position !== status?.position) writes += 1;
      expect(next.gap).toBeUndefined();
      status = next;
    }
    expect(writes).toBeLessThan(250);
  });

  it('never misses more than it says, and says nothing while it keeps up', () => {
    const step = fc.record({
      published: fc.nat(50),
      mine: fc.nat(50),
      read: fc.nat(60),
      keep: fc.integer({ min: 1, max: 80 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        // Every event as its sequence; those of the subscriber's type, those stored, how far the consumer is.
        let last = 0;
        let first = 1;
        let delivered = 0;
        const mine: number[] = [];
        let lost = 0;
        let status: BusStatus | undefined;
        for (const { published, mine: share, read, keep } of steps) {
          for (let n = 0; n < published; n += 1) {
            last += 1;
            if (n < share) mine.push(last);
          }
          for (let n = 0; n < read && mine.length > 0; n += 1) delivered = mine.shift() as number;
          const nextFirst = Math.max(first, last - keep + 1);
          while (mine.length > 0 && (mine[0] as number) < nextFirst) {
            mine.shift();
            lost += 1;
          }
          first = nextFirst;
          status = busStatus(observed(first, last, delivered, mine.length), status, 0);
          if ((status.gap?.missed ?? 0) < lost) return false;
        }
        return true;
      }),
      { seed: 4, numRuns: 2_000 },
    );
  });
});
