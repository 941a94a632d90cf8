import type { Logger } from 'pino';
import type { ControlMetrics } from './metrics.ts';
import { createQueue, type KeyedQueue } from './queue.ts';

export interface ReconcileResult {
  /** Look again after this time, in ms, although nothing has changed. */
  readonly requeueAfterMs?: number;
}
/** Level-triggered: gets a key and no event. A throw is retried with back-off; what a user must mend is a finding, not a throw. */
export type Reconcile = (key: string) => Promise<ReconcileResult | undefined>;

export interface Controller {
  readonly name: string;
  /** Where watches put keys; they wait there until `start`. */
  readonly queue: KeyedQueue;
  start(): void;
  /** Says what is wrong when one key has been in work for longer than `stuckAfterMs`. */
  stuck(): string | undefined;
  /** Takes no more keys and waits for those in work. */
  stop(): Promise<void>;
}
export interface ControllerOptions {
  readonly name: string;
  readonly reconcile: Reconcile;
  readonly metrics: ControlMetrics;
  readonly log: Logger;
  readonly workers?: number;
  /** Tenant of a key, for fairness. */
  readonly groupOf?: (key: string) => string;
  /** Workers that one group may have; default a quarter. */
  readonly groupWorkers?: number;
  readonly stuckAfterMs?: number;
  /** Least time between two reconciles of a key. */
  readonly restMs?: number;
  /** Least time between two keys of which there is no news. */
  readonly lookPaceMs?: number;
}

// What Go calls a panic: the code is wrong, not the world.
const programmingErrors = [TypeError, ReferenceError, RangeError, SyntaxError];
const isProgrammingError = (error: unknown) => programmingErrors.some((kind) => error instanceof kind);

export const createController = (options: ControllerOptions): Controller => {
  const { name, reconcile, metrics, log, workers = 8, stuckAfterMs = 600_000 } = options;
  const aQuarter = Math.max(1, Math.floor(workers / 4));
  const queue = createQueue({
    name,
    metrics,
    lookWorkers: aQuarter,
    ...(options.restMs !== undefined && { restMs: options.restMs }),
    ...(options.lookPaceMs !== undefined && { lookPaceMs: options.lookPaceMs }),
    ...(options.groupOf && {
      groupOf: options.groupOf,
      groupWorkers: options.groupWorkers ?? aQuarter,
    }),
  });
  const controller = { controller: name };

  const handle = async (key: string): Promise<void> => {
    const endTimer = metrics.reconcileSeconds.startTimer(controller);
    metrics.activeWorkers.inc(controller);
    try {
      const result = await reconcile(key);
      queue.forget(key);
      const again = result?.requeueAfterMs;
      if (again !== undefined) queue.after(key, again);
      metrics.reconciles.inc({ ...controller, result: again === undefined ? 'success' : 'requeue_after' });
    } catch (error) {
      metrics.reconciles.inc({ ...controller, result: 'error' });
      metrics.errors.inc(controller);
      if (isProgrammingError(error)) metrics.panics.inc(controller);
      const retryMs = queue.retry(key);
      log.error({ err: error, controller: name, key, retryMs }, 'reconcile failed, will be retried');
    } finally {
      metrics.activeWorkers.dec(controller);
      endTimer();
    }
  };
  const work = async (): Promise<void> => {
    for (let key = await queue.next(); key !== undefined; key = await queue.next()) {
      try {
        await handle(key);
      } finally {
        queue.done(key);
      }
    }
  };

  return {
    name,
    queue,
    start: () => {
      metrics.maxWorkers.set(controller, workers);
      for (let i = 0; i < workers; i++) void work();
    },
    stuck: () => {
      const seconds = queue.longestRunningSeconds();
      return seconds * 1000 > stuckAfterMs
        ? `controller ${name}: one key has been in work for ${Math.round(seconds)} s`
        : undefined;
    },
    stop: () => queue.close(),
  };
};
