import { describe, expect, it } from 'vitest';
import type { Attempt, OpenStep, StepContext, StepDefinition, StepResult } from '../../runtime/connector.ts';
import { createStepMemory } from '../../runtime/engine/step-memory.ts';
import { InstructionError } from '../../runtime/errors.ts';
import type { Flow } from '../../runtime/flow.ts';
import type { JsonValue, Message } from '../../runtime/message.ts';
import { createMemoryTransport } from '../../runtime/transport/memory.ts';
import { attemptOf } from '../runtime/attempt.ts';
import { ids, startReceiver, startWorkshop } from '../runtime/engine/workshop.ts';
import { messageOf, scope, silent } from '../runtime/steps/harness.ts';
import { senderBodies } from './bodies.ts';
import { travelled, whole } from './journey.ts';
import { type BadConfigs, refusesBadConfig } from './schema.ts';

/* What every step promises to the engine. One opts in with a few lines: a configuration and a body that it lets pass. */
export interface StepCase {
  readonly definition: StepDefinition;
  readonly config: unknown;
  readonly bad: BadConfigs;
  /** A message with it comes out of the step. `index` tells messages apart. */
  readonly passes: (index: number) => JsonValue;
  /** Named flows that the configuration leads to. */
  readonly flows?: Flow['flows'];
  /** What it needs of the world. */
  readonly context?: Partial<StepContext>;
}

const nothing = (): never => {
  throw new Error('a step that declares state "none" remembers nothing');
};
export const openStep = async ({
  definition,
  config,
  context: more = {},
}: Pick<StepCase, 'definition' | 'config' | 'context'>): Promise<OpenStep> => {
  const memory = createStepMemory(Promise.resolve(createMemoryTransport({ streams: [] })), 'orders')('step');
  const context: Partial<StepContext> = {
    scope,
    log: silent,
    flow: () => async (message) => message,
    publish: async () => undefined,
    memory: definition.state === 'kept' ? memory : { read: nothing, write: nothing },
    ...more,
    own: { source: '/acme/orders/step', room: async () => 100_000, put: async () => true },
    now: Date.now,
  };
  return await definition.open(definition.config.parse(config), context as StepContext);
};
const textOf = ({ attrs, headers, body }: Message) => ({ attrs, headers, body: Buffer.from(body.bytes()).toString() });
const listOf = (result: StepResult): readonly Message[] =>
  result === undefined ? [] : 'attrs' in result ? [result] : [...result];
const run = async (step: OpenStep, message: Message, attempt: Attempt = attemptOf()) =>
  listOf(await step.run(message, attempt)).map(textOf);

/** Each throws for a step that breaks it (conformance.test.ts shows that). */
export const stepPromises: Readonly<Record<string, (step: OpenStep, of: StepCase) => Promise<void>>> = {
  async 'makes the same of the same message, at every attempt'(step, { passes }) {
    const message = messageOf(passes(0));
    const first = await run(step, message);
    expect(first.length).toBeGreaterThan(0);
    expect(await run(step, message, attemptOf({ number: 2 }))).toEqual(first);
  },
  async 'leaves the message as it is'(step, { passes }) {
    const message = messageOf(passes(0), { headers: { 'x-kept': 'yes' } });
    const before = textOf(message);
    const kept = structuredClone(before);
    await run(step, message);
    expect(textOf(message)).toEqual(kept);
    expect([message.attrs, message.headers]).toEqual([kept.attrs, kept.headers]);
  },
  async 'says what becomes of every body: no mistake of a sender is tried again'(step) {
    for (const [why, body] of senderBodies) {
      const error: unknown = await run(step, messageOf(body as JsonValue)).catch((failure: unknown) => failure);
      if (!(error instanceof Error)) continue;
      expect(error instanceof InstructionError ? error.instruction : String(error), why).toBe('reject');
    }
  },
  async 'closes without a word'(step, { passes }) {
    await run(step, messageOf(passes(0)));
    await step.close?.();
  },
};

export const stepConformance = (name: string, step: StepCase): void => {
  describe(`step ${name}`, { timeout: 300_000 }, () => {
    refusesBadConfig(step.definition.config, step.config, step.bad);

    it.each(Object.entries(stepPromises))('%s', async (_, check) => {
      await check(await openStep(step), step);
    });

    // What is a function of the message alone is the same after a crash: the promises above are all there is to it.
    if (step.definition.state === 'none') return;
    it('lets every message through, when workers are killed, cut off and stopped', async () => {
      const [workshop, receiver] = await Promise.all([startWorkshop(), startReceiver()]);
      const expected = ids(30);
      for (const [index, id] of expected.entries()) await workshop.publish([id], step.passes(index));
      const { repeated: _, ...result } = await travelled({
        workshop,
        flow: {
          steps: [{ name: 'tried', [name]: step.config }],
          flows: step.flows ?? [],
          connections: { erp: { http: { url: receiver.url } } },
        },
        expected,
        arrived: async () => receiver.calls.map(({ id }) => id),
        left: () => workshop.messages('inbox_orders'),
      });
      expect(result).toEqual(whole);
    });
  });
};
