import {
  type Arbitrary,
  array,
  assert,
  asyncProperty,
  constantFrom,
  integer,
  record,
  shuffledSubarray,
} from 'fast-check';
import { expect, it } from 'vitest';
import { readAll } from '../../faults/read-all.ts';
import type { Fault } from './broken-rules.ts';
import { eventually, flowTo, startReceiver, startWorkshop, type Workshop } from './workshop.ts';

/*
 * Random flows, random failures, workers and servers that die, on a real server, against a model of a few lines. At every death and at the
 * end: what was accepted is delivered, a dead letter, or still stored. At the end each sink has exactly what the model says.
 */
interface SinkPlan {
  /** Messages whose number is a multiple of it. */
  readonly every: number;
  /** Failed attempts of message n at this sink: `fails[n % length]`. */
  readonly fails: readonly number[];
  readonly status: 503 | 400;
}
interface Harm {
  /** Calls of the receiver after which it happens. */
  readonly at: number;
  readonly what: 'kill the worker' | 'kill the server' | 'stop the worker';
}
interface Scenario {
  /** Steps in this order; a message's number decides what they do with it. */
  readonly steps: readonly ('filter' | 'strict' | 'shape')[];
  readonly filterEvery: number;
  readonly strictEvery: number;
  readonly sinks: readonly SinkPlan[];
  readonly messages: number;
  readonly attempts: number;
  readonly concurrency: number;
  readonly harms: readonly Harm[];
}
/** More than there are attempts. */
const always = 9;
const scenario: Arbitrary<Scenario> = record({
  steps: shuffledSubarray(['filter', 'strict', 'shape'] as const),
  filterEvery: integer({ min: 1, max: 3 }),
  strictEvery: integer({ min: 4, max: 20 }),
  sinks: array(
    record({
      every: integer({ min: 1, max: 3 }),
      fails: array(constantFrom(0, 0, 0, 1, 2, always), { minLength: 1, maxLength: 7 }),
      status: constantFrom(503 as const, 503 as const, 400 as const),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  messages: integer({ min: 30, max: 120 }),
  attempts: integer({ min: 1, max: 4 }),
  concurrency: integer({ min: 1, max: 32 }),
  harms: array(
    record({
      at: integer({ min: 5, max: 60 }),
      what: constantFrom('kill the worker' as const, 'kill the server' as const, 'stop the worker' as const),
    }),
    { minLength: 1, maxLength: 2 },
  ),
});

/** `<id> <part>` of what arrives and of what becomes a dead letter. */
const modelOf = ({ messages, steps, filterEvery, strictEvery, sinks, attempts }: Scenario) => {
  const [delivered, dead] = [new Set<string>(), new Set<string>()];
  for (let n = 0; n < messages; n += 1) {
    const ends = steps.find((step) =>
      step === 'filter' ? n % filterEvery !== 0 : step === 'strict' && n % strictEvery === 0,
    );
    if (ends === 'strict') dead.add(`m${n} strict`);
    if (ends !== undefined) continue;
    for (const [index, { every, fails, status }] of sinks.entries()) {
      if (n % every !== 0) continue;
      const failures = fails[n % fails.length] ?? 0;
      const through = failures === 0 || (status === 503 && failures < attempts);
      (through ? delivered : dead).add(`m${n} s${index}`);
    }
  }
  return { delivered, dead };
};

const flowOf = ({ steps, filterEvery, strictEvery, sinks, attempts, concurrency }: Scenario, url: string) => {
  const parts = {
    filter: { name: 'filter', filter: { when: `int(body.n) % ${filterEvery} == 0` } },
    // A field that is not there is an error, not false.
    strict: { name: 'strict', filter: { when: `int(body.n) % ${strictEvery} != 0 || body.missing` } },
    shape: { name: 'shape', map: { body: { n: '=body.n', id: '=attrs.id' } } },
  };
  return flowTo(url, {
    steps: steps.map((step) => parts[step]),
    sinks: sinks.map(({ every }, index) => ({
      name: `s${index}`,
      when: `int(body.n) % ${every} == 0`,
      http: { connectionRef: { name: 'erp' }, method: 'POST', path: `/s${index}` },
    })),
    delivery: {
      ...flowTo('').delivery,
      concurrency,
      retry: { attempts, backoff: { initial: '20ms', max: '100ms' } },
    },
  });
};

/** A work queue has no place for a second reader: message by message. */
const storedIds = async ({ manager }: Workshop): Promise<Set<string>> => {
  const { state } = await manager.streams.info('inbox_orders');
  const found = new Set<string>();
  for (let seq = state.first_seq; seq <= state.last_seq; seq += 1) {
    found.add((await manager.streams.getMessage('inbox_orders', { seq }))?.header.get('ce-id') ?? '');
  }
  return found;
};
const deadIn = async ({ manager }: Workshop): Promise<Set<string>> =>
  new Set((await readAll(manager, 'dlq_orders')).map(({ id, subject }) => `${id} ${subject.split('.')[2]}`));

const play = async (plan: Scenario, fault?: Fault) => {
  const [workshop, receiver] = await Promise.all([startWorkshop(), startReceiver()]);
  const delivered = new Set<string>();
  const tries = new Map<string, number>();
  receiver.behave(({ id, path }) => {
    const sink = plan.sinks[Number(path.slice(2))] as SinkPlan;
    const key = `${id} ${path.slice(1)}`;
    const before = tries.get(key) ?? 0;
    tries.set(key, before + 1);
    const n = Number(id.slice(1));
    const failures = sink.fails[n % sink.fails.length] ?? 0;
    // A rejection is one for ever, and so is what outlasts the attempts: a killed worker forgets some. The rest is mended after its tries.
    const forEver = sink.status === 400 || failures >= plan.attempts;
    if (forEver ? failures > 0 : before < failures) return sink.status;
    delivered.add(key);
    return 200;
  });
  const numbers = Array.from({ length: plan.messages }, (_, n) => n);
  await Promise.all(numbers.map((n) => workshop.publish([`m${n}`], { n })));
  const model = modelOf(plan);
  const idsOf = (keys: Iterable<string>) => new Set([...keys].map((key) => key.split(' ')[0]));
  const wanted = idsOf([...model.delivered, ...model.dead]);
  const nowhere = async () => {
    // Messages move in this direction only.
    const stored = await storedIds(workshop);
    const [dead, arrived] = [idsOf(await deadIn(workshop)), idsOf(delivered)];
    return [...wanted].filter((id) => !stored.has(String(id)) && !dead.has(id) && !arrived.has(id));
  };

  const flow = flowOf(plan, receiver.url);
  const lost: unknown[] = [];
  let worker = await workshop.startWorker(flow, fault);
  for (const { at, what } of plan.harms) {
    const calls = model.delivered.size + [...model.dead].filter((key) => !key.endsWith('strict')).length;
    await eventually(() => receiver.calls.length).toBeGreaterThanOrEqual(Math.min(at, calls));
    if (what === 'kill the server') {
      await workshop.world.kill();
      await workshop.world.start();
      await eventually(() => workshop.messages('inbox_orders').catch(() => -1)).toBeGreaterThanOrEqual(0);
    } else {
      await (what === 'kill the worker' ? worker.kill() : worker.stop());
      worker = await workshop.startWorker(flow, fault);
    }
    lost.push(...(await nowhere()));
  }
  await eventually(() => workshop.messages('inbox_orders')).toBe(0);
  return { lost, delivered, dead: await deadIn(workshop), model };
};

const seeds = Array.from({ length: 8 }, (_, index) => 20_261_122 + index);
it.each(seeds)(
  'random flows, failures and deaths end as the model says (seed %i)',
  { timeout: 300_000 },
  async (seed) => {
    const asTheModelSays = async (plan: Scenario) => {
      const { lost, delivered, dead, model } = await play(plan);
      expect(lost).toEqual([]);
      expect([...delivered].toSorted()).toEqual([...model.delivered].toSorted());
      expect([...dead].toSorted()).toEqual([...model.dead].toSorted());
    };
    await assert(asyncProperty(scenario, asTheModelSays), { seed, numRuns: 1, endOnFailure: true });
  },
);

it('control: with the ack before the sinks, messages are nowhere', { timeout: 300_000 }, async () => {
  const plan: Scenario = {
    steps: ['shape'],
    filterEvery: 1,
    strictEvery: 4,
    sinks: [{ every: 1, fails: [1], status: 503 }],
    messages: 120,
    attempts: 3,
    concurrency: 32,
    harms: [{ at: 20, what: 'kill the worker' }],
  };
  expect((await play(plan, 'ack-before-sink')).lost).not.toEqual([]);
});
