import { expect, test } from 'vitest';
import { type Course, courseOf, stepsOn } from '../../../runtime/engine/course.ts';
import type { StepPart } from '../../../runtime/engine/parts.ts';
import type { Delivery } from '../../../runtime/transport/transport.ts';

const delivery = (stream: string, headers: Record<string, string>): Delivery =>
  ({ stream, sequence: 1, subject: 'x', deliveries: 1, headers, body: new Uint8Array() }) as unknown as Delivery;
const asked = { 'kanava-replays': '1', 'kanava-replay-from': 'shape', 'kanava-replay-only': 'erp/%C3%A50' };

test('a replay says where to start and whom to deliver to', () => {
  expect(courseOf(delivery('inbox_orders', asked), 'orders')).toEqual({ from: 'shape', only: 'erp/å0' });
});

test('what a step put into the inbox begins with it, as does its replay', () => {
  const made = { 'kanava-resume': 'gather' };
  expect(courseOf(delivery('inbox_orders', made), 'orders')).toEqual({ resume: 'gather' });
  expect(courseOf(delivery('inbox_orders', { ...asked, ...made }), 'orders')).toMatchObject({ resume: 'gather' });
  const gather = { name: 'gather', run: () => 'run', resume: () => 'resumed' };
  const steps = [{ name: 'first' }, gather, { name: 'shape' }] as unknown as StepPart[];
  const on = (course: Course) => stepsOn(course, steps).map(({ name, run }) => [name, run === steps[1]?.resume]);
  expect(on({ resume: 'gather' })).toEqual([
    ['gather', true],
    ['shape', false],
  ]);
  expect(on({ resume: 'gather', from: 'shape' })).toEqual([['shape', false]]);
  expect(() => on({ resume: 'gone' })).toThrow('gone');
});

test.each([
  ['a step of another Integration', 'bus', { 'kanava-resume': 'gather' }],
  ['the bus, where other Integrations write', 'bus', asked],
  ['a foreign inbox', 'inbox_other', asked],
  ['a message that is no replay', 'inbox_orders', { 'ce-id': '1' }],
])('%s is not believed', (_why, stream, headers) => {
  expect(courseOf(delivery(stream, headers), 'orders')).toEqual({});
});
