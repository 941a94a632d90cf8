import { describe, expect, it } from 'vitest';
import { loadBody, readBody } from '../../../runtime/bodies/read.ts';
import { keepBody, lettersHead, removeBody, writeBody } from '../../../runtime/bodies/write.ts';
import { bodyHeader, referenceIn, writeReference } from '../../../runtime/nats/body-reference.ts';
import { bodyHead, bodyKey } from '../../../runtime/nats/names.ts';
import { createMemoryTransport } from '../../../runtime/transport/memory.ts';
import { type State, TransportError } from '../../../runtime/transport/transport.ts';

const newStore = () => createMemoryTransport({ streams: [] }).bodies('orders');
const limits = { mostBytes: 4 * 1024 * 1024, mostPayload: 1024 * 1024 };
/** Pieces as a socket gives them: of any size. */
const piecesOf = (whole: Uint8Array, sizes: readonly number[]): Uint8Array[] => {
  const pieces: Uint8Array[] = [];
  for (let at = 0, turn = 0; at < whole.length; turn += 1) {
    const size = sizes[turn % sizes.length] as number;
    pieces.push(whole.subarray(at, at + size));
    at += size;
  }
  return pieces;
};
const content = (bytes: number) =>
  Buffer.from(Uint8Array.from({ length: bytes }, (_, at) => (at * 31 + (at >> 9)) % 251));
const failing = (store: State, fails: (key: string) => boolean): State => ({
  ...store,
  write: (key, ...rest) =>
    fails(key) ? Promise.reject(new TransportError('StreamFull', 'no room')) : store.write(key, ...rest),
});

describe('a body in parts', () => {
  it.each([
    { bytes: 0, parts: 0, why: 'nothing' },
    { bytes: 1, parts: 1, why: 'less than a part' },
    { bytes: 262_144, parts: 1, why: 'exactly one' },
    { bytes: 262_145, parts: 2, why: 'one byte more' },
    { bytes: 1_500_000, parts: 6, why: 'more than are on their way at once' },
  ])('is what was written, in pieces of any size: $why', async ({ bytes, parts }) => {
    const whole = content(bytes);
    for (const sizes of [[7_919], [1, 300_000], [65_536], [bytes + 1]]) {
      const store = newStore();
      const { reference, isLate } = await writeBody(store, piecesOf(whole, sizes), limits);
      expect(reference).toMatchObject({ bytes, parts });
      expect(isLate()).toBe(false);
      expect(Buffer.compare(await loadBody(store, reference), whole)).toBe(0);
      expect(referenceIn({ [bodyHeader]: writeReference(reference) })).toEqual(reference);
    }
  });

  it('has parts that fit into what the server takes', async () => {
    const { reference } = await writeBody(newStore(), [content(100_000)], { ...limits, mostPayload: 40_000 });
    expect(reference.parts).toBe(3);
  });

  it('of the same content twice is two bodies', async () => {
    const store = newStore();
    const [one, two] = [await writeBody(store, [content(9)], limits), await writeBody(store, [content(9)], limits)];
    await removeBody(store, two.reference);
    expect((await loadBody(store, one.reference)).length).toBe(9);
  });

  it.each([
    [
      'too large',
      'MessageTooLarge',
      (store: State) => writeBody(store, [content(600_000)], { ...limits, mostBytes: 500_000 }),
    ],
    ['a sender that goes', 'gone', (store: State) => writeBody(store, leaving(), limits)],
    [
      'no room for a part',
      'no room',
      (store: State) =>
        writeBody(
          failing(store, (key) => key.endsWith('.1')),
          [content(600_000)],
          limits,
        ),
    ],
    [
      'no room for the last part',
      'no room',
      (store: State) =>
        writeBody(
          failing(store, (key) => key.endsWith('.2')),
          [content(600_000)],
          limits,
        ),
    ],
  ])('is taken back when it was not whole: %s', async (_, reason, write) => {
    const keys = new Set<string>();
    const store = newStore();
    const seen: State = {
      ...store,
      write: async (key, ...rest) => {
        keys.add(key);
        return store.write(key, ...rest);
      },
    };
    await expect(write(seen)).rejects.toThrow(reason === 'MessageTooLarge' ? /more than 500000 bytes/ : reason);
    expect(keys.size).toBeGreaterThan(1);
    for (const key of keys) expect(await store.read(key), key).toBeUndefined();
  });

  it('is damaged when a part is another one, which its reader is told at the end', async () => {
    const store = newStore();
    const { reference } = await writeBody(store, [content(600_000)], limits);
    const found = await store.read(bodyKey(reference.id, 1));
    await store.write(bodyKey(reference.id, 1), Buffer.alloc(262_144, 'x'), found?.revision ?? 0);
    let parts = 0;
    const reading = async () => {
      for await (const part of readBody(store, reference)) parts += part.length > 0 ? 1 : 0;
    };
    await expect(reading()).rejects.toMatchObject({ instruction: 'reject', code: 'BodyDamaged' });
    expect(parts).toBe(3);
    await expect(loadBody(store, reference)).rejects.toMatchObject({ code: 'BodyDamaged' });
  });

  it('is missing when a part is not there: a copy of the stream may be behind, so it is tried again', async () => {
    const store = newStore();
    const { reference } = await writeBody(store, [content(600_000)], limits);
    await store.remove(bodyKey(reference.id, 2));
    await expect(loadBody(store, reference)).rejects.toMatchObject({ instruction: 'retry', code: 'BodyMissing' });
  });

  it('is kept by what its head says, and a removed one is not revived', async () => {
    const store = newStore();
    const { reference } = await writeBody(store, [content(9)], limits);
    const head = () => store.read(bodyKey(reference.id, bodyHead));
    await keepBody(store, reference);
    await keepBody(store, reference);
    expect(Buffer.from((await head())?.value ?? []).toString()).toBe(lettersHead);
    await removeBody(store, reference);
    await keepBody(store, reference);
    expect(await head()).toBeUndefined();
  });

  it.each([
    '',
    'x 1 1 y',
    `${'a'.repeat(36)} 1 1 ${'g'.repeat(64)}`,
    `../../etc/passwd.............aaaaaaaaa 1 1 ${'a'.repeat(64)}`,
  ])('has a reference of one form only: "%s" is none', (text) => {
    expect(() => referenceIn({ [bodyHeader]: text })).toThrow(/is not of this version/);
    expect(referenceIn({})).toBeUndefined();
  });
});

async function* leaving(): AsyncGenerator<Uint8Array> {
  yield content(600_000);
  throw new Error('gone');
}
