import { expect, test } from 'vitest';
import { courseOf } from '../../../runtime/engine/course.ts';
import type { Delivery } from '../../../runtime/transport/transport.ts';

const delivery = (stream: string, headers: Record<string, string>): Delivery =>
  ({ stream, sequence: 1, subject: 'x', deliveries: 1, headers, body: new Uint8Array() }) as unknown as Delivery;
const asked = { 'kanava-replays': '1', 'kanava-replay-from': 'shape', 'kanava-replay-only': 'erp/%C3%A50' };

test('a replay says where to start and whom to deliver to', () => {
  expect(courseOf(delivery('inbox_orders', asked), 'orders')).toEqual({ from: 'shape', only: 'erp/å0' });
});

test.each([
  ['the bus, where other Integrations write', 'bus', asked],
  ['a foreign inbox', 'inbox_other', asked],
  ['a message that is no replay', 'inbox_orders', { 'ce-id': '1' }],
])('%s is not believed', (_why, stream, headers) => {
  expect(courseOf(delivery(stream, headers), 'orders')).toEqual({});
});
