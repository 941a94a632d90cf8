import { expect, it } from 'vitest';
import { letterOf } from '../../../runtime/dead-letters/letter.ts';
import { replayEntry } from '../../../runtime/dead-letters/replay.ts';
import { aggregateStep } from '../../../runtime/steps/aggregate.ts';
import {
  type GatheringCase,
  gatheringStepConformance,
  killedWhileGathering,
} from '../../conformance/gathering-step.ts';
import { eventually, flowTo, startReceiver, startWorkshop } from '../engine/workshop.ts';

/** Groups of three, of which some get no third message. */
const groups: GatheringCase = {
  definition: aggregateStep,
  config: { key: 'body.key', until: { count: 3, timeout: '2s' } },
  bad: [
    ['no end', { key: 'body.key' }],
    ['what is no expression', { key: 'body.key +', until: { timeout: '2s' } }],
    ['a count of one', { key: 'body.key', until: { count: 1, timeout: '2s' } }],
    ['no time', { key: 'body.key', until: { timeout: 'soon' } }],
  ],
  round: (numbers) => numbers.map((no, index) => ({ no, key: `${numbers[0]}-${index % 7}` })),
  numbersIn: (body) => (body as readonly { readonly no: number }[]).map(({ no }) => no),
};

gatheringStepConformance('aggregate', groups);

const often = Array.from({ length: 4 }, () => ({ point: 'pulled', after: 4 }) as const);
/** Seven groups are opened in a round, with an alarm each; what is published next is a group whose last message is not acknowledged yet. */
const atTheEnd = Array.from({ length: 3 }, () => ({ point: 'published', after: 8 }) as const);

it('control: what is acknowledged before it is in its group is lost', { timeout: 600_000 }, async () => {
  const { lost } = await killedWhileGathering('aggregate', groups, often, 'ack-before-sink');
  expect(lost.length).toBeGreaterThan(0);
});

it('control: who forgets the messages of a group that has ended has some in two', { timeout: 600_000 }, async () => {
  const { repeated } = await killedWhileGathering('aggregate', groups, atTheEnd, 'forgets-parts');
  expect(repeated.length).toBeGreaterThan(0);
});

it('a group that is refused is a dead letter with all its bodies, and its replay goes on behind the step', {
  timeout: 300_000,
}, async () => {
  const [workshop, receiver] = await Promise.all([startWorkshop({ ackWaitMs: 30_000 }), startReceiver()]);
  const into = { numbers: '=body.map(each, each.no)' };
  const steps = [{ name: 'gather', aggregate: { key: 'body.key', until: { count: 2, timeout: '1h' }, into } }];
  receiver.behave(() => 400);
  await workshop.startWorker(flowTo(receiver.url, { steps }));
  for (const no of [1, 2]) await workshop.publish([`m${no}`], { key: 'k', no });
  await eventually(() => workshop.messages('dlq_orders')).toBe(1);
  const stored = await workshop.manager.streams.getMessage('dlq_orders', { seq: 1 });
  const headers = Object.fromEntries([...(stored?.header ?? [])].map(([name, [value = '']]) => [name, value]));
  const letter = letterOf({ sequence: 1, time: '', headers, body: stored?.data ?? new Uint8Array() });
  expect(JSON.parse(Buffer.from(letter.body).toString())).toEqual([1, 2].map((no) => ({ key: 'k', no })));
  receiver.behave(() => 200);
  await workshop.gateway.publish(replayEntry('orders', letter));
  await eventually(() => receiver.calls.map(({ id, body }) => ({ id, body }))).toEqual(
    [1, 2].map(() => ({ id: receiver.calls[0]?.id, body: '{"numbers":[1,2]}' })),
  );
});
