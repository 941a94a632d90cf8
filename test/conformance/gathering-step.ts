import { describe, expect, it } from 'vitest';
import type { StepDefinition } from '../../runtime/connector.ts';
import type { JsonValue } from '../../runtime/message.ts';
import { wakeType } from '../../runtime/steps/alarms.ts';
import type { KillPlan } from '../faults/kill-plan.ts';
import type { Fault } from '../runtime/engine/broken-rules.ts';
import { flowTo, startReceiver, startWorkshop, type Workshop } from '../runtime/engine/workshop.ts';
import { startGatherer } from '../runtime/steps/gatherer.ts';
import { messageOf } from '../runtime/steps/harness.ts';
import { senderBodies } from './bodies.ts';
import { type BadConfigs, refusesBadConfig } from './schema.ts';

/*
 * What a step promises that keeps messages and makes others of them later: whatever dies, every message is in one of those that come out,
 * and in no other, whose id and body are always the same.
 */
export interface GatheringCase {
  readonly definition: StepDefinition;
  readonly config: unknown;
  readonly bad: BadConfigs;
  /** Messages of one round, each of which names itself by its number. */
  readonly round: (numbers: readonly number[]) => readonly JsonValue[];
  /** Numbers of the messages in what came out. */
  readonly numbersIn: (body: JsonValue) => readonly number[];
  /** Where its workers die; default: at every write of state, too. */
  readonly deaths?: readonly KillPlan[];
  /** It waits for longer than a test does, so that wakes stay in the inbox. */
  readonly waitsLong?: boolean;
}

/** Every step of a message's way into a group and out of it: each write of state is one, each message that is put into the inbox another. */
const deaths: readonly KillPlan[] = [
  ...[1, 2, 3, 4, 5, 6, 7, 9, 12, 16].map((after) => ({ point: 'while parking', after }) as const),
  ...[1, 2, 3].map((after) => ({ point: 'published', after }) as const),
  { point: 'pulled', after: 3 },
  { point: 'parsed', after: 3 },
  { point: 'before ack', after: 1 },
  { point: 'before ack', after: 8 },
  { point: 'after ack', after: 5 },
  { point: 'before sink', after: 1 },
  { point: 'after sink', after: 1 },
];
const perRound = 18;

interface Outcome {
  readonly lost: readonly number[];
  /** In messages of several ids, or several times in one. */
  readonly repeated: readonly number[];
  /** Ids that came with several bodies. */
  readonly changed: readonly string[];
  readonly deadLetters: number;
}

/** In the inbox, without the wakes. */
export const leftOf = async ({ manager }: Pick<Workshop, 'manager'>): Promise<number> => {
  const { first_seq: first, last_seq: last, messages } = (await manager.streams.info('inbox_orders')).state;
  const seqs = messages === 0 ? [] : Array.from({ length: last - first + 1 }, (_, index) => first + index);
  const found = await Promise.all(seqs.map((seq) => manager.streams.getMessage('inbox_orders', { seq })));
  return found.filter((each) => each && each.header.get('ce-type') !== wakeType).length;
};

/** A worker for each death, which gets new messages beside what the dead ones left; then one that lives. */
export const killedWhileGathering = async (
  name: string,
  { config, round, numbersIn, deaths: own = deaths, waitsLong = false }: GatheringCase,
  plan: readonly KillPlan[] = own,
  fault?: Fault,
): Promise<Outcome> => {
  const [workshop, receiver] = await Promise.all([startWorkshop(), startReceiver()]);
  const delivery = { ...flowTo('').delivery, concurrency: 8 };
  const flow = flowTo(receiver.url, { steps: [{ name: 'gather', [name]: config }], delivery });
  let given = 0;
  const give = async () => {
    const numbers = Array.from({ length: perRound }, (_, index) => given + index);
    given += perRound;
    for (const [index, body] of round(numbers).entries()) await workshop.publish([`m${numbers[index]}`], body);
  };
  for (const kill of plan) {
    await give();
    const worker = await workshop.startWorker(flow, fault, { kill });
    await worker.ended;
    expect(worker.output()).toContain(`"killed":"${kill.point}"`);
  }
  await workshop.startWorker(flow, fault);
  const arrived = () => {
    const byId = Map.groupBy(receiver.calls, ({ id }) => id);
    const made = [...byId].flatMap(([, calls]) => numbersIn(JSON.parse(calls[0]?.body ?? 'null') as JsonValue));
    return { byId, made };
  };
  // Before its wakes have rung, a group that should not be may still be open.
  const isOver = async () =>
    (await workshop.messages('inbox_orders')) === 0 ||
    (waitsLong && new Set(arrived().made).size === given && (await leftOf(workshop)) === 0);
  await expect.poll(isOver, { timeout: 180_000, interval: 200 }).toBe(true);
  const { byId, made } = arrived();
  const numbers = Array.from({ length: given }, (_, index) => index);
  return {
    lost: numbers.filter((no) => !made.includes(no)),
    repeated: [...new Set(made.filter((no, index) => made.indexOf(no) !== index))],
    changed: [...byId].flatMap(([id, calls]) => (new Set(calls.map(({ body }) => body)).size > 1 ? [id] : [])),
    deadLetters: await workshop.messages('dlq_orders'),
  };
};
export const nothingLost: Outcome = { lost: [], repeated: [], changed: [], deadLetters: 0 };

export const gatheringStepConformance = (name: string, step: GatheringCase): void => {
  describe(`step ${name}`, { timeout: 600_000 }, () => {
    refusesBadConfig(step.definition.config, step.config, step.bad);

    it('says what becomes of every body: no mistake of a sender is tried again', async () => {
      const gatherer = await startGatherer(step.definition, step.config);
      for (const [why, body] of senderBodies)
        expect(await gatherer.give(null, { message: messageOf(body as JsonValue) }), why).toMatch(/^(on|reject \w+)$/);
    });

    it('leaves the message as it is', async () => {
      const gatherer = await startGatherer(step.definition, step.config);
      const [body = null] = step.round([7]);
      const message = messageOf(body, { headers: { 'x-kept': 'yes' } });
      const before = structuredClone({ attrs: message.attrs, headers: message.headers, body: message.body.value() });
      await gatherer.give(null, { message });
      expect({ attrs: message.attrs, headers: message.headers, body: message.body.value() }).toEqual(before);
    });

    it('has every message in one that comes out, wherever workers are killed', async () => {
      expect(await killedWhileGathering(name, step)).toEqual(nothingLost);
    });
  });
};
