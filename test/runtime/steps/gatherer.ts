import { expect } from 'vitest';
import type { OwnInbox, StepContext, StepDefinition, StepResult } from '../../../runtime/connector.ts';
import { createStepMemory } from '../../../runtime/engine/step-memory.ts';
import { InstructionError } from '../../../runtime/errors.ts';
import type { JsonValue, Message } from '../../../runtime/message.ts';
import { createMemoryTransport } from '../../../runtime/transport/memory.ts';
import { attemptOf } from '../attempt.ts';
import { messageOf, scope, silent } from './harness.ts';

/*
 * A step that gathers messages, with a state bucket in memory and an inbox that is a list: what the engine does with such a step, by a clock
 * that the test turns.
 */
export interface Gatherer {
  readonly now: () => number;
  /** One attempt of one message: `on` or the instruction that was thrown, as `instruction code`. */
  give(body: JsonValue, how?: Given): Promise<string>;
  /** Time goes on, and what waits in the inbox resumes whenever it is due. */
  pass(ms: number): Promise<void>;
  /** Until nothing is in the inbox. */
  finish(): Promise<void>;
  /** What came out. */
  readonly made: Message[];
  bodies(): JsonValue[];
  /** Codes of dead letters of what resumed. */
  readonly refused: string[];
  /** Messages that wait in the inbox. */
  readonly waiting: { readonly message: Message; at: number }[];
  /** From now on the inbox takes so many messages more. */
  fill(room: number): void;
  /** Another worker with the same state: nothing is known to it. */
  restart(): Promise<void>;
}
export interface Given {
  readonly id?: string;
  readonly attrs?: Readonly<Record<string, string>>;
  readonly repeated?: boolean;
  readonly replay?: number;
  readonly message?: Message;
}

export const startMs = Date.parse('2026-01-05T12:00:00Z');

export const startGatherer = async (
  definition: StepDefinition,
  config: unknown,
  { room = 100_000 }: { readonly room?: number } = {},
): Promise<Gatherer> => {
  let time = startMs;
  let free = Number.POSITIVE_INFINITY;
  let given = 0;
  const clock = { now: () => time, after: () => () => undefined };
  const transport = createMemoryTransport({ streams: [], clock });
  const waiting: { readonly message: Message; at: number }[] = [];
  const known = new Set<string>();
  const made: Message[] = [];
  const refused: string[] = [];
  const own: OwnInbox = {
    source: '/acme/orders/gather',
    room: async () => room,
    async put(message) {
      if (free <= 0) return false;
      if (known.has(message.attrs.id)) return true;
      free -= 1;
      known.add(message.attrs.id);
      waiting.push({ message, at: time });
      return true;
    },
  };
  const open = () =>
    definition.open(definition.config.parse(config), {
      scope,
      log: silent,
      memory: createStepMemory(Promise.resolve(transport), 'orders')('gather'),
      own,
      now: clock.now,
    } as Partial<StepContext> as StepContext);
  let step = await open();
  const come = (result: StepResult) => {
    if (result !== undefined) made.push(...('attrs' in result ? [result] : result));
  };
  const resume = async (each: (typeof waiting)[number]) => {
    try {
      come(await step.resume?.(each.message, attemptOf({ origin: each.message.attrs.id, acceptedAt: time })));
    } catch (error) {
      if (!(error instanceof InstructionError)) throw error;
      if (error.instruction === 'postpone') {
        each.at = time + (error.afterMs ?? 1_000);
        return;
      }
      expect(error.instruction).toBe('reject');
      refused.push(error.code);
    }
    waiting.splice(waiting.indexOf(each), 1);
    free += 1;
  };
  const nextDue = () => waiting.toSorted((a, b) => a.at - b.at)[0];
  const resumeUntil = async (end: number) => {
    for (let turns = 0; ; turns += 1) {
      const next = nextDue();
      if (!next || next.at > end) return;
      expect(turns, 'a timer that never ends').toBeLessThan(5_000);
      time = Math.max(time, next.at);
      await resume(next);
    }
  };

  return {
    now: () => time,
    made,
    refused,
    waiting,
    bodies: () => made.map(({ body }) => body.value()),
    async give(body, { id = `m${(given += 1)}`, attrs = {}, repeated = false, replay, message } = {}) {
      const attempt = attemptOf({ origin: `inbox_orders/${id}`, acceptedAt: time, repeated, replay });
      const all = { id, source: '/shop', type: 'order', specversion: '1.0', ...attrs } as const;
      try {
        come(await step.run(message ?? messageOf(body, { attrs: all }), attempt));
        return 'on';
      } catch (error) {
        if (error instanceof InstructionError) return `${error.instruction} ${error.code}`;
        throw error;
      }
    },
    async pass(ms) {
      const end = time + ms;
      await resumeUntil(end);
      time = end;
    },
    finish: () => resumeUntil(Number.POSITIVE_INFINITY),
    fill: (rest) => void (free = rest),
    async restart() {
      step = await open();
    },
  };
};
