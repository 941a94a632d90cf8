import { createUser, fromSeed } from '@nats-io/nkeys';
import { describe, expect, test } from 'vitest';
import { derivedUser, keyFromSeed, newKey, newSeed, seedOf } from '../../../operator/broker/keys.ts';

const encode = (text: string) => new TextEncoder().encode(text);

describe('keys', () => {
  test.each(['operator', 'account', 'user'] as const)('of an %s sign as the library does, byte for byte', (kind) => {
    for (let round = 0; round < 5; round += 1) {
      const seed = newSeed(kind);
      const own = keyFromSeed(seed);
      const library = fromSeed(encode(seed));
      const text = encode(`message ${round} of ${seed.length}`);
      expect(own.getPublicKey()).toBe(library.getPublicKey());
      expect(own.sign(text)).toEqual(library.sign(text));
      expect(library.verify(text, own.sign(text))).toBe(true);
      expect(own.verify(text, library.sign(text))).toBe(true);
      expect(own.verify(encode('another'), library.sign(text))).toBe(false);
    }
  });

  test('are read with the line end that files have', () => {
    const seed = newSeed('operator');
    expect(seedOf(keyFromSeed(`${seed}\n`))).toBe(seed);
  });

  test('are of the kind that was asked for', () => {
    expect(newKey('operator').getPublicKey()).toMatch(/^O[A-Z2-7]{55}$/);
    expect(newKey('account').getPublicKey()).toMatch(/^A[A-Z2-7]{55}$/);
    expect(newKey('user').getPublicKey()).toMatch(/^U[A-Z2-7]{55}$/);
  });

  test('of a user can be made again from a seed and a text, and the library takes them', () => {
    const [one, two] = [newSeed('account'), newSeed('account')];
    const user = derivedUser(one, 'uid');
    expect(seedOf(user)).toMatch(/^SU[A-Z2-7]{56}$/);
    expect(fromSeed(user.getSeed()).getPublicKey()).toBe(user.getPublicKey());
    expect(derivedUser(one, 'uid').getPublicKey()).toBe(user.getPublicKey());
    for (const other of [derivedUser(one, 'uid2'), derivedUser(two, 'uid')])
      expect(other.getPublicKey()).not.toBe(user.getPublicKey());
  });

  test('that are none are refused: a typo in a seed fails its checksum', () => {
    const seed = new TextDecoder().decode(createUser().getSeed());
    const typo = seed.slice(0, 20) + (seed[20] === 'A' ? 'B' : 'A') + seed.slice(21);
    for (const text of ['', 'SU', typo]) expect(() => keyFromSeed(text), text).toThrow();
  });
});
