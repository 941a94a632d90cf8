import { describe, expect, it } from 'vitest';
import { createPeers } from '../../../runtime/engine/peers.ts';
import type { Notices } from '../../../runtime/transport/transport.ts';

/** Words reach everybody at once, unless the line is cut. */
const office = () => {
  const ears = new Set<(text: string) => void>();
  let at = 0;
  let cut = false;
  const notices: Notices = {
    tell: (_, text) => {
      if (!cut) for (const take of ears) take(text);
    },
    hear(_, take) {
      ears.add(take);
      return { stop: () => void ears.delete(take) };
    },
  };
  return {
    join: (id: string, healthy = () => true) =>
      createPeers({ notices, subject: 'peers.orders', id, healthy, now: () => at }),
    later: (ms: number) => void (at += ms),
    cut: () => void (cut = true),
  };
};

describe('the share of a worker', () => {
  it('is everything until it hears of others', () => {
    expect(office().join('a').share(8)).toBe(8);
  });

  it.each([
    [8, 2, [4, 4]],
    [8, 3, [3, 3, 2]],
    [2, 3, [1, 1, 0]],
    [1, 2, [1, 0]],
    [7, 7, [1, 1, 1, 1, 1, 1, 1]],
  ])('of %i partitions and %i workers is %j: together they are all', (partitions, workers, shares) => {
    const { join } = office();
    const peers = Array.from({ length: workers }, (_, index) => join(`worker-${index}`));
    for (const peer of peers) peer.tick();
    expect(peers.map((peer) => peer.share(partitions))).toEqual(shares);
  });

  it('is known to a new one as soon as it has said that it is here', () => {
    const { join, later } = office();
    const first = join('a');
    first.tick();
    later(100);
    const second = join('b');
    second.tick();
    expect([first.share(8), second.share(8)]).toEqual([4, 4]);
  });

  it('grows at once when one leaves, and after a while when one is not heard of any more', () => {
    const { join, later, cut } = office();
    const [first, second, third] = [join('a'), join('b'), join('c')];
    for (const peer of [first, second, third]) peer.tick();
    third.leave();
    expect([first.share(8), second.share(8)]).toEqual([4, 4]);
    cut();
    later(9_000);
    expect(first.share(8), 'it may only be busy').toBe(4);
    later(2_000);
    expect(first.share(8)).toBe(8);
  });

  it('is none of one that cannot pull', () => {
    const { join } = office();
    const first = join('a');
    join('b', () => false).tick();
    expect(first.share(8)).toBe(8);
  });
});
