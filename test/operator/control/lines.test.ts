import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { lineSplitter } from '../../../operator/control/lines.ts';
import { createStore, isNewer } from '../../../operator/control/store.ts';
import { parseEvent } from '../../../operator/control/watch-event.ts';

const collect = (chunks: Uint8Array[], maxBytes = 1000): string[] => chunks.flatMap(lineSplitter(maxBytes));

test('lines are the same however the bytes are cut, and the unfinished one is not a line', () => {
  const text = fc.array(fc.string({ unit: 'grapheme' }).map((s) => s.replaceAll('\n', '') || 'x'));
  fc.assert(
    fc.property(text, fc.string(), fc.infiniteStream(fc.integer({ min: 1, max: 7 })), (whole, rest, sizes) => {
      const bytes = Buffer.from([...whole, rest.replaceAll('\n', '')].join('\n'));
      const chunks: Uint8Array[] = [];
      for (let at = 0; at < bytes.length; ) {
        const size = sizes.next().value;
        chunks.push(bytes.subarray(at, at + size));
        at += size;
      }
      expect(collect(chunks)).toEqual(whole);
    }),
  );
});

test.each([
  ['in one piece', [`${'x'.repeat(11)}\n`]],
  ['without an end', ['x'.repeat(6), 'x'.repeat(6)]],
])('a line over the cap is refused: %s', (_how, parts) => {
  const pieces = parts.map((part) => Buffer.from(part));
  expect(() => collect(pieces, 10)).toThrow('longer than 10 bytes');
});

test.each([
  ['10', '9', true],
  ['9', '10', false],
  ['10', '10', false],
  ['99999999999999999999999', '99999999999999999999998', true],
  ['b', 'a', true],
  ['a', 'a', false],
])('version %s is newer than %s: %s', (candidate, known, expected) => {
  expect(isNewer(candidate, known)).toBe(expected);
});

test.each([
  '{"type":"ADDED","object":{"data":{"password":"s3cret"',
  '{"type":"ADDED","object":{"password":"s3cret"}}',
  '[]',
  'null',
  '{"type":"WHAT"}',
])('what is no event is refused without repeating it: %s', (line) => {
  expect(() => parseEvent(line)).toThrow(/not (JSON|an event)/);
  expect(() => parseEvent(line)).not.toThrow('s3cret');
});

test('a store keeps the newest, tells both uids, and lists by namespace and label', () => {
  const object = (name: string, uid: string, resourceVersion: string, labels = {}) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'ns', uid, resourceVersion, labels },
  });
  const store = createStore();
  const types = (changes: readonly { type: string }[]) => changes.map(({ type }) => type);
  expect(types(store.put(object('a', 'u1', '5')))).toEqual(['added']);
  expect(types(store.put(object('a', 'u1', '4')))).toEqual([]);
  expect(types(store.put(object('a', 'u1', '6', { app: 'x' })))).toEqual(['updated']);
  expect(types(store.put(object('a', 'u2', '7', { app: 'x' })))).toEqual(['deleted', 'added']);
  expect(types(store.remove(object('a', 'u1', '6'), '6'))).toEqual([]);
  store.put(object('b', 'u3', '8'));
  expect(store.list({ namespace: 'ns', labels: { app: 'x' } }).map(({ metadata }) => metadata.name)).toEqual(['a']);
  expect(store.list({ namespace: 'other' })).toEqual([]);
  expect(types(store.remove(object('a', 'u2', '9'), '9'))).toEqual(['deleted']);
  expect(store.size()).toBe(1);
});
