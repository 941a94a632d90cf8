import { expect, test } from 'vitest';
import type { Seen } from '../../../operator/broker/jetstream-figures.ts';
import { settledAccounts } from '../../../operator/broker/settled.ts';

const state = { messages: 0, bytes: 0, first_seq: 0, last_seq: 0, last_ts: '0001-01-01T00:00:00Z' };
const seen = (pending: number, ackPending: number): Seen =>
  new Map([
    [
      'A',
      new Map([
        ['bus', { state, isLeader: true, consumers: [{ name: 'orders', pending, ackPending, delivered: 0 }] }],
        ['dlq_orders', { state, isLeader: true, consumers: [] }],
      ]),
    ],
  ]);

test('an account is settled when its consumers have nothing to do and its streams have not moved since', () => {
  const settled = settledAccounts();
  expect(settled.is('A')).toBe(false);
  settled.moved('A', 1_000);
  expect(settled.is('A')).toBe(false);
  settled.read(seen(0, 0), 10_000);
  expect(settled.is('A')).toBe(true);
  settled.moved('A', 11_000);
  expect(settled.is('A')).toBe(false);
  settled.read(seen(0, 0), 20_000);
  expect(settled.is('A')).toBe(true);
});

test.each([
  ['a message to deliver', 1, 0],
  ['a message with a worker', 0, 1],
])('%s may change at any time', (_what, pending, ackPending) => {
  const settled = settledAccounts();
  settled.moved('A', 1_000);
  settled.read(seen(pending, ackPending), 20_000);
  expect(settled.is('A')).toBe(false);
});

test('figures that were read right after a message came may not count it yet', () => {
  const settled = settledAccounts();
  settled.moved('A', 1_000);
  settled.read(seen(0, 0), 1_100);
  expect(settled.is('A')).toBe(false);
});

test('of an account that was gone nothing is known', () => {
  const settled = settledAccounts();
  settled.moved('A', 1_000);
  settled.read(seen(0, 0), 20_000);
  settled.forget('A');
  expect(settled.is('A')).toBe(false);
});
