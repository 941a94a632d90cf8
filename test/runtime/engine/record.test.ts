import { describe, expect, it } from 'vitest';
import { fresh, isSuspect, type MessageRecord } from '../../../runtime/engine/record.ts';
import type { Delivery } from '../../../runtime/transport/transport.ts';

const delivered = (deliveries: number): Delivery => ({
  stream: 'inbox_orders',
  sequence: 1,
  subject: 'inbox.orders.0.in',
  deliveries,
  headers: { 'Nats-Msg-Id': 'in/1' },
  body: new Uint8Array(),
  storedMs: () => 0,
  ack: () => Promise.resolve(),
  nak: () => undefined,
  working: () => undefined,
});

describe('suspects', () => {
  it.each<[string, number, Partial<MessageRecord>, boolean]>([
    ['the first delivery', 1, {}, false],
    ['one unexplained delivery: a rolling update', 2, {}, false],
    ['two: a bad day of the node', 3, {}, false],
    ['three', 4, {}, true],
    ['many deliveries that our NAKs explain', 50, { naks: 49 }, false],
    ['three beyond those that are explained', 53, { naks: 49 }, true],
    ['a start mark that nobody cleared', 2, { started: true }, true],
  ])('%s', (_, deliveries, changed, expected) => {
    const delivery = delivered(deliveries);
    expect(isSuspect(delivery, { ...fresh(delivery, 0, 0).record, ...changed })).toBe(expected);
  });
});
