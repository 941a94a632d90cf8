import { expect, it } from 'vitest';
import { checkpointStep } from '../../../runtime/steps/checkpoint.ts';
import {
  type GatheringCase,
  gatheringStepConformance,
  killedWhileGathering,
} from '../../conformance/gathering-step.ts';
import { eventually, flowTo, startReceiver, startWorkshop } from '../engine/workshop.ts';

const each: GatheringCase = {
  definition: checkpointStep,
  config: {},
  bad: [['what it does not know', { key: 'body.no' }]],
  round: (numbers) => numbers.map((no) => ({ no })),
  // It writes state only when the inbox is full.
  deaths: [
    ...[1, 2, 5, 18].map((after) => ({ point: 'published', after }) as const),
    ...[1, 7, 20].map((after) => ({ point: 'before ack', after }) as const),
    ...[1, 9].map((after) => ({ point: 'after ack', after }) as const),
    { point: 'pulled', after: 3 },
    { point: 'before sink', after: 2 },
    { point: 'after sink', after: 2 },
  ],
  numbersIn: (body) => [(body as { readonly no: number }).no],
};

gatheringStepConformance('checkpoint', each);

it('control: what is acknowledged before it is in the inbox is lost', { timeout: 600_000 }, async () => {
  const often = Array.from({ length: 4 }, () => ({ point: 'published', after: 1 }) as const);
  const { lost } = await killedWhileGathering('checkpoint', each, often, 'ack-before-sink');
  expect(lost.length).toBeGreaterThan(0);
});

const ask = { name: 'ask', call: { as: 'score', http: { connectionRef: { name: 'erp' }, path: '/score' } } };

/** How often the step before was run, for one message whose sink fails twice, the second time with its worker. */
const asked = async (steps: readonly object[]): Promise<number> => {
  const [workshop, receiver] = await Promise.all([startWorkshop(), startReceiver()]);
  const flow = flowTo(receiver.url, { steps: steps as ReturnType<typeof flowTo>['steps'] });
  const tries = () => receiver.calls.filter(({ path }) => path === '/out').length;
  receiver.behave(({ path }) => (path === '/score' ? 204 : tries() === 1 ? 503 : tries() === 2 ? 'hang' : 200));
  const worker = await workshop.startWorker(flow);
  await workshop.publish(['m1']);
  await eventually(tries).toBe(2);
  await worker.kill();
  await workshop.startWorker(flow);
  await eventually(() => workshop.messages('inbox_orders')).toBe(0);
  expect(tries()).toBe(3);
  return receiver.calls.filter(({ path }) => path === '/score').length;
};

it('what was done before is not done again, when a sink fails and when a worker dies', {
  timeout: 300_000,
}, async () => {
  expect(await asked([ask, { name: 'kept', checkpoint: {} }])).toBe(1);
});

it('control: without it, it is done at every attempt', { timeout: 300_000 }, async () => {
  expect(await asked([ask])).toBe(3);
});
