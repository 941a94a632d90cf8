import type { Log } from '../connector.ts';
import type { Flow } from '../flow.ts';
import { milliseconds } from '../schema.ts';
import type { Counters } from '../telemetry.ts';
import type { Consumption, Delivery, Transport } from '../transport/transport.ts';
import { createAttempts } from './attempts.ts';
import { createHandler, type Outcome } from './handler.ts';
import { createHeld } from './held.ts';
import type { Parts } from './parts.ts';
import { createRecords } from './record.ts';
import type { RetryPolicy } from './retry.ts';

/*
 * The worker's core, on a Transport and open Parts. It decides which delivery runs when: at most `concurrency` at once, at most twice as
 * many held, suspects alone. What happens to one delivery is in handler.ts.
 */
export interface EngineOptions {
  readonly flow: Flow;
  readonly parts: Parts;
  readonly transport: Transport;
  readonly counters: Counters;
  readonly log: Log;
  readonly now?: () => number;
  readonly random?: () => number;
}
export interface Engine {
  start(consumers: readonly { stream: string; name: string }[]): void;
  /** Stops pulling, lets what runs finish within `graceMs`, gives back the rest. */
  drain(graceMs: number): Promise<void>;
  readonly load: () => { held: number; running: number };
}

export const createEngine = (options: EngineOptions): Engine => {
  const { flow, transport, counters, now = Date.now, random = Math.random } = options;
  const { concurrency } = flow.delivery;
  const timeoutMs = milliseconds(flow.delivery.timeout) ?? 30_000;
  const held = createHeld();
  const attempts = createAttempts(timeoutMs, now);
  const records = createRecords(transport.state, flow.integration, now);
  const handle = createHandler({ ...options, now, random, attempts, records, policy: policyOf(flow) });

  const queue: Delivery[] = [];
  const suspects: Delivery[] = [];
  const consumptions: (Consumption & { more(): void })[] = [];
  let running = 0;
  let alone = false;
  let draining = false;
  let idle: (() => void) | undefined;

  const finished = (delivery: Delivery, outcome: Outcome) => {
    running -= 1;
    alone = false;
    if (outcome === 'suspect' && !draining) {
      counters.suspects += 1;
      suspects.push(delivery);
    } else {
      if (outcome === 'suspect') delivery.nak(0);
      held.remove(delivery);
      for (const consumption of consumptions) consumption.more();
    }
    if (running === 0) idle?.();
    pump();
  };
  const run = (delivery: Delivery, asSuspect: boolean) => {
    running += 1;
    alone = asSuspect;
    void handle(delivery, asSuspect).then((outcome) => finished(delivery, outcome));
  };
  const pump = () => {
    if (draining || alone) return;
    // Suspects wait until nothing else runs, and nothing else starts meanwhile.
    if (suspects.length > 0) {
      if (running === 0) run(suspects.shift() as Delivery, true);
      return;
    }
    for (const delivery of queue.splice(0, concurrency - running)) run(delivery, false);
  };
  const deliver = (delivery: Delivery) => {
    counters.delivered += 1;
    held.add(delivery, now());
    queue.push(delivery);
    pump();
  };
  const credit = () => (draining ? 0 : Math.max(0, 2 * concurrency - held.size()));

  const timer = setInterval(
    () => {
      held.tick(now());
      attempts.tick(now());
    },
    Math.min(250, Math.max(20, timeoutMs / 4)),
  );

  return {
    load: () => ({ held: held.size(), running }),
    start(consumers) {
      for (const consumer of consumers) consumptions.push(transport.consume(consumer, { credit, deliver }));
    },
    async drain(graceMs) {
      draining = true;
      // Only when no pull is open any more: else the broker would deliver again what is given back.
      await Promise.all(consumptions.map((consumption) => consumption.stop()));
      for (const delivery of [...queue.splice(0), ...suspects.splice(0)]) {
        delivery.nak(0);
        held.remove(delivery);
      }
      if (running > 0) {
        const { promise, resolve } = Promise.withResolvers<void>();
        idle = resolve;
        const grace = setTimeout(attempts.abortAll, graceMs);
        await promise;
        clearTimeout(grace);
      }
      clearInterval(timer);
    },
  };
};

const policyOf = ({ delivery: { retry } }: Flow): RetryPolicy => ({
  attempts: retry.attempts,
  initialMs: milliseconds(retry.backoff.initial) ?? 1_000,
  maxMs: milliseconds(retry.backoff.max) ?? 300_000,
});
