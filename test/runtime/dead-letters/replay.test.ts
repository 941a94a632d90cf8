import { expect, test } from 'vitest';
import { letterOf } from '../../../runtime/dead-letters/letter.ts';
import { replayEntry } from '../../../runtime/dead-letters/replay.ts';

const letter = (headers: Record<string, string> = {}) =>
  letterOf({
    sequence: 17,
    time: '2026-01-01T00:00:00Z',
    headers: {
      'ce-id': '1',
      'kanava-subject': 'inbox.orders.3.shop',
      'kanava-id': 'shop/abc',
      'kanava-part': 'erp',
      'Nats-Rollup': 'all',
      ...headers,
    },
    body: Buffer.from('x'),
  });

test('goes back to where it came from, so that order by key holds', () => {
  expect(replayEntry('orders', letter()).subject).toBe('inbox.orders.3.shop');
});

test.each(['bus.order', 'tick.orders.nightly', 'inbox.other.0.shop', ''])(
  'what came from "%s" goes into the own inbox: nobody else gets it again',
  (subject) => {
    expect(replayEntry('orders', letter({ 'kanava-subject': subject })).subject).toBe('inbox.orders.0.replay');
  },
);

test.each([
  ['a step failed', {}, {}, 'shop/abc.p1'],
  ['a sink failed', { 'kanava-key': 'erp' }, {}, 'shop/abc/erp.p1'],
  ['one of several messages failed at a sink', { 'kanava-key': 'erp/2' }, {}, 'shop/abc/erp/2.p1'],
  ['to every sink', { 'kanava-key': 'erp' }, { everywhere: true }, 'shop/abc/erp.p1'],
  ['for the third time', { 'kanava-replays': '2' }, {}, 'shop/abc.p3'],
])('has an id that tells it from all others: %s', (_why, headers, options, id) => {
  expect(replayEntry('orders', letter(headers as Record<string, string>), options).id).toBe(id);
});

test('is the accepted message and what this replay asks for, and no more', () => {
  const failed = letter({ 'kanava-key': 'erp', 'kanava-replay-from': 'old', 'kanava-replays': '1' });
  expect(replayEntry('orders', failed, { from: 'shape' })).toEqual({
    subject: 'inbox.orders.3.shop',
    id: 'shop/abc/erp.p2',
    headers: {
      'ce-id': '1',
      'kanava-id': 'shop/abc',
      'kanava-replays': '2',
      'kanava-replay-from': 'shape',
      'kanava-replay-only': 'erp',
    },
    body: Buffer.from('x'),
  });
  expect(replayEntry('orders', failed, { everywhere: true }).headers).not.toHaveProperty('kanava-replay-only');
});
