import { describe, expect, it } from 'vitest';
import { createAttempts } from '../../../runtime/engine/attempts.ts';
import { createHeld } from '../../../runtime/engine/held.ts';
import type { Delivery } from '../../../runtime/transport/transport.ts';

const stored = {
  stream: 'inbox',
  sequence: 1,
  headers: { 'Nats-Msg-Id': 'a' },
  storedMs: () => 7,
} as unknown as Delivery;

describe('attempts', () => {
  it('end at their deadline and are left behind if they do not obey', async () => {
    let now = 0;
    const attempts = createAttempts(1_000, () => now);
    const first = attempts.begin(1, stored);
    now = 500;
    const second = attempts.begin(2, stored);
    attempts.tick(999);
    expect([first.timedOut(), second.timedOut()]).toEqual([false, false]);
    attempts.tick(1_000);
    expect([first.timedOut(), second.timedOut()]).toEqual([true, false]);
    attempts.tick(1_500);
    expect(second.timedOut()).toBe(true);
    const [asked, early] = [first.signal, first.orAbandoned(new Promise(() => undefined))];
    expect(asked.aborted, 'a signal that is asked for late says so too').toBe(true);
    attempts.tick(6_001);
    await expect(early).rejects.toMatchObject({ name: 'TimeoutError' });
    await expect(first.orAbandoned(new Promise(() => undefined)), 'nobody waits for what starts later').rejects.toThrow(
      'delivery.timeout',
    );
    await expect(second.orAbandoned(Promise.resolve('done'))).resolves.toBe('done');
  });

  it('that ended are not timed out', () => {
    const attempts = createAttempts(1_000, () => 0);
    const attempt = attempts.begin(1, stored);
    expect([attempt.origin, attempt.acceptedAt]).toEqual(['inbox/1/a', 7]);
    attempt.end();
    attempts.tick(10_000);
    expect(attempt.timedOut()).toBe(false);
  });
});

describe('held deliveries', () => {
  it('say every ten seconds that they are worked on, prefetched or not, until they are let go', () => {
    const signs: string[] = [];
    const job = (name: string, lastSign: number) => {
      const delivery = { working: () => signs.push(name) } as unknown as Delivery;
      return { delivery, lastSign, place: -1 };
    };
    const [a, b] = [job('a', 0), job('b', 4_000)];
    const held = createHeld();
    held.add(a);
    held.add(b);
    held.tick(9_999);
    expect(signs).toEqual([]);
    held.tick(10_000);
    expect(signs).toEqual(['a']);
    held.tick(14_000);
    expect(signs).toEqual(['a', 'b']);
    held.remove(a);
    held.tick(24_000);
    expect(signs).toEqual(['a', 'b', 'b']);
    held.remove(a);
    expect(held.size(), 'let go twice is let go once').toBe(1);
  });
});
