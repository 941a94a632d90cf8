import { expect } from 'vitest';
import type { Flow } from '../../runtime/flow.ts';
import type { KillPoint } from '../faults/kill-plan.ts';
import type { Fault } from '../runtime/engine/broken-rules.ts';
import { flowTo, type Workshop } from '../runtime/engine/workshop.ts';

/* What a worker does with a part, whatever happens to it: killed, cut off from NATS, stopped. A real process, a real server. */
export interface Journey {
  readonly workshop: Workshop;
  /** The part in a flow; what is left out is as in the workshop. */
  readonly flow: Partial<Flow>;
  /** Ids that must arrive. */
  readonly expected: readonly string[];
  /** Ids that did, one an effect. */
  readonly arrived: () => Promise<readonly string[]>;
  /** Messages that wait for the worker. */
  readonly left: () => Promise<number>;
  readonly killAt?: KillPoint;
  readonly fault?: Fault;
}

/** One worker dies with messages in its hands, the next one loses its server in between and is stopped when nothing is left. */
export const travelled = async ({
  workshop,
  flow,
  expected,
  arrived,
  left,
  killAt = 'before sink',
  fault,
}: Journey) => {
  const whole = flowTo('http://127.0.0.1:1', flow);
  const after = Math.ceil(expected.length / 3);
  const first = await workshop.startWorker(whole, fault, { kill: { point: killAt, after } });
  await first.ended;
  const second = await workshop.startWorker(whole, fault);
  await workshop.world.restart();
  await expect.poll(left, { timeout: 180_000, interval: 100 }).toBe(0);
  expect(await second.stop(), second.output().slice(-2_000)).toBe(0);
  const ids = await arrived();
  return {
    killed: first.output().includes(`"killed":"${killAt}"`),
    lost: expected.filter((id) => !ids.includes(id)),
    unknown: ids.filter((id) => !expected.includes(id)),
    /** Effects beyond the first. */
    repeated: ids.length - new Set(ids).size,
    deadLetters: await workshop.messages('dlq_orders'),
  };
};
export const whole = { killed: true, lost: [], unknown: [], deadLetters: 0 };
