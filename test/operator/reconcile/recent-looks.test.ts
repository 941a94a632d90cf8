import { describe, expect, test } from 'vitest';
import { createRecentLooks } from '../../../operator/reconcile/recent-looks.ts';

describe('a recent look', () => {
  const world = () => {
    let now = 0;
    let looked = 0;
    const looks = createRecentLooks(() => now);
    const look = async () => {
      looked += 1;
      return looked;
    };
    return {
      looks,
      take: (inputs: readonly unknown[], isRight = true) => looks.take('acme', inputs, look, () => isRight),
      pass: (ms: number) => {
        now += ms;
      },
    };
  };
  const spec = {};

  test('stands for the next one, for less than a minute', async () => {
    const { take, pass } = world();
    expect([await take([spec]), await take([spec])]).toEqual([1, 1]);
    pass(49_999);
    expect(await take([spec])).toBe(1);
    pass(1);
    expect(await take([spec])).toBe(2);
  });

  test('does not, when something else is wanted, it found what is not right, or something is known to have changed', async () => {
    const { take, looks } = world();
    expect([await take([spec]), await take([{}]), await take([{}, 1])]).toEqual([1, 2, 3]);
    expect([await take([spec], false), await take([spec], false)]).toEqual([4, 5]);
    await take([spec]);
    looks.forget('acme');
    expect(await take([spec])).toBe(7);
  });

  test('that failed is none', async () => {
    const { take, looks } = world();
    const failing = looks.take(
      'acme',
      [spec],
      () => Promise.reject(new Error('away')),
      () => true,
    );
    await expect(failing).rejects.toThrow('away');
    expect(await take([spec])).toBe(1);
  });
});
