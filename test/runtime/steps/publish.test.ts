import { expect, it } from 'vitest';
import { createPublisher } from '../../../runtime/engine/publisher.ts';
import { retry } from '../../../runtime/errors.ts';
import { publishStep } from '../../../runtime/steps/publish.ts';
import { createMemoryTransport } from '../../../runtime/transport/memory.ts';
import { stepConformance } from '../../conformance/step.ts';
import { messageOf, openStep } from './harness.ts';

stepConformance('publish', {
  definition: publishStep,
  config: { type: "='order.' + string(body.no)", body: { no: '=body.no' } },
  bad: [
    ['a type with a blank', { type: 'order placed' }],
    ['a wildcard', { type: 'order.>' }],
    ['what is no expression', { body: { no: '=body.' } }],
  ],
  passes: (index) => ({ no: index }),
});

const bus = {
  name: 'bus',
  subjects: ['bus.*'],
  retention: 'limits',
  discard: 'old',
  maxBytes: 2 ** 20,
  consumers: [],
} as const;

it('puts the event on the bus once, however often the message comes, and lets the very message go on', async () => {
  const transport = createMemoryTransport({ streams: [bus] });
  const publisher = createPublisher(Promise.resolve(transport), 'orders');
  const step = await openStep(publishStep, { type: 'order.placed' }, { publish: publisher('tell') });
  const other = await openStep(publishStep, { type: 'order.placed' }, { publish: publisher('tell-again') });
  const message = messageOf({ no: 7 });
  expect(await step(message)).toBe(message);
  await step(messageOf({ no: 7 }));
  expect(transport.stored('bus')).toBe(1);
  await other(message);
  expect(transport.stored('bus')).toBe(2);
});

it('lets the message wait for the bus, and fail with it', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const slow = await openStep(publishStep, { type: 'a' }, { publish: () => promise });
  let done = false;
  const going = slow(messageOf({})).then(() => (done = true));
  await new Promise((turn) => setImmediate(turn));
  expect(done).toBe(false);
  resolve();
  await going;
  const away = () => Promise.reject(retry('BusUnavailable', 'the bus is away'));
  const failing = await openStep(publishStep, { type: 'a' }, { publish: away });
  await expect(failing(messageOf({}))).rejects.toMatchObject({ instruction: 'retry', code: 'BusUnavailable' });
});
