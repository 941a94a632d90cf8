import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

interface WatchGauge {
  readonly name: string;
  staleSeconds(): number;
  size(): number;
}
interface QueueGauge {
  readonly name: string;
  depth(): number;
  /** How long each running key has been running. */
  runningSeconds(): readonly number[];
}

const powersOfTen = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i));

/** Adds up what `read` says of all members that share a label value. */
const summed = <Member extends { readonly name: string }>(
  members: ReadonlySet<Member>,
  read: (member: Member) => number,
  merge: (a: number, b: number) => number,
): Map<string, number> => {
  const totals = new Map<string, number>();
  for (const member of members) {
    const known = totals.get(member.name);
    totals.set(member.name, known === undefined ? read(member) : merge(known, read(member)));
  }
  return totals;
};

/**
 * The metrics of everything in this folder, once a registry. Names and labels are those of controller-runtime and client-go, so that
 * existing dashboards and alerts work; what they do not have is called `kanava_watch_*`.
 */
export const controlMetrics = (registry: Registry) => {
  const registers = [registry];
  const watches = new Set<WatchGauge>();
  const queues = new Set<QueueGauge>();
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[]) =>
    new Counter({ name, help, labelNames, registers });
  const histogram = <Label extends string>(name: string, help: string, labelNames: Label[], buckets: number[]) =>
    new Histogram({ name, help, labelNames, buckets, registers });
  const collected = (name: string, help: string, label: string, read: () => Map<string, number>) =>
    new Gauge({
      name,
      help,
      labelNames: [label],
      registers,
      collect() {
        this.reset();
        for (const [value, total] of read()) this.set({ [label]: value }, total);
      },
    });
  const add = (a: number, b: number) => a + b;

  collected('workqueue_depth', 'Keys that wait.', 'name', () => summed(queues, (queue) => queue.depth(), add));
  collected('workqueue_unfinished_work_seconds', 'Sum of the ages of the keys in work.', 'name', () =>
    summed(queues, (queue) => queue.runningSeconds().reduce(add, 0), add),
  );
  collected('workqueue_longest_running_processor_seconds', 'Age of the oldest key in work.', 'name', () =>
    summed(queues, (queue) => Math.max(0, ...queue.runningSeconds()), Math.max),
  );
  // Many watches share a resource (Secrets: one a tenant); the worst one is what an alert needs.
  collected('kanava_watch_stale_seconds', 'Time since the server was last heard, worst watch.', 'resource', () =>
    summed(watches, (watch) => watch.staleSeconds(), Math.max),
  );
  collected('kanava_watch_objects', 'Objects in the cache.', 'resource', () =>
    summed(watches, (watch) => watch.size(), add),
  );

  return {
    watches,
    queues,
    adds: counter('workqueue_adds_total', 'Keys added.', ['name']),
    retries: counter('workqueue_retries_total', 'Keys added again after a failure.', ['name']),
    queueSeconds: histogram('workqueue_queue_duration_seconds', 'Time that a key waits.', ['name'], powersOfTen(-6, 3)),
    workSeconds: histogram('workqueue_work_duration_seconds', 'Time that a key takes.', ['name'], powersOfTen(-6, 3)),
    reconciles: counter('controller_runtime_reconcile_total', 'Reconciles by result.', ['controller', 'result']),
    errors: counter('controller_runtime_reconcile_errors_total', 'Reconciles that failed.', ['controller']),
    panics: counter('controller_runtime_reconcile_panics_total', 'Reconciles ended by a programming error.', [
      'controller',
    ]),
    reconcileSeconds: histogram(
      'controller_runtime_reconcile_time_seconds',
      'Time of a reconcile.',
      ['controller'],
      [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    ),
    activeWorkers: new Gauge({
      name: 'controller_runtime_active_workers',
      help: 'Reconciles that run now.',
      labelNames: ['controller'],
      registers,
    }),
    maxWorkers: new Gauge({
      name: 'controller_runtime_max_concurrent_reconciles',
      help: 'Reconciles that may run at once.',
      labelNames: ['controller'],
      registers,
    }),
    leader: new Gauge({
      name: 'leader_election_master_status',
      help: '1 while this process leads.',
      labelNames: ['name'],
      registers,
    }),
    relists: counter('kanava_watch_relists_total', 'Full lists.', ['resource']),
    interruptions: counter('kanava_watch_interruptions_total', 'Lists and watches that ended with an error.', [
      'resource',
    ]),
    staleEvents: counter('kanava_watch_stale_events_total', 'Events dropped: older than what is known.', ['resource']),
    cacheMisses: counter('kanava_watch_cache_misses_total', 'Changes that only a relist showed; must stay 0.', [
      'resource',
    ]),
    handlerErrors: counter('kanava_watch_handler_errors_total', 'Handlers that threw and were called again.', [
      'resource',
    ]),
  };
};
export type ControlMetrics = ReturnType<typeof controlMetrics>;
