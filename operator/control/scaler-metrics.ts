import { Gauge, type Registry } from 'prom-client';

/** What the gauges read at each scrape. */
interface Scaling {
  /** Each Integration as `namespace/name`. */
  keys(): Iterable<string>;
  wanted(key: string): number | undefined;
  work(key: string): { waiting: number; inFlight: number; parked: number } | undefined;
}
interface Looking {
  lookedAt(): number | undefined;
  failures(): number;
}

/** The exact figures; the status of an Integration shows the order of magnitude. */
export const scalerMetrics = (registry: Registry, scaling: Scaling, looking: Looking): void => {
  const collected = (name: string, help: string, labelNames: string[], collect: (gauge: Gauge) => void) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        collect(this);
      },
    });
  const labels = (key: string) => {
    const [namespace = '', integration = ''] = key.split('/');
    return { namespace, integration };
  };

  collected(
    'kanava_lag_age_seconds',
    'Time since NATS last told what waits in all streams; nothing is scaled by what is older than 15 s.',
    [],
    (gauge) => {
      const at = looking.lookedAt();
      gauge.set(at === undefined ? Number.POSITIVE_INFINITY : (performance.now() - at) / 1000);
    },
  );
  collected('kanava_lag_failures_total', 'Looks at the streams that failed.', [], (gauge) =>
    gauge.set(looking.failures()),
  );
  collected(
    'kanava_integration_messages',
    'Messages that wait, are with a worker, or wait for their next attempt.',
    ['namespace', 'integration', 'state'],
    (gauge) => {
      for (const key of scaling.keys()) {
        const work = scaling.work(key);
        if (!work) continue;
        gauge.set({ ...labels(key), state: 'waiting' }, work.waiting);
        gauge.set({ ...labels(key), state: 'in_flight' }, work.inFlight);
        gauge.set({ ...labels(key), state: 'parked' }, work.parked);
      }
    },
  );
  collected(
    'kanava_integration_replicas_wanted',
    'Workers that are wanted now.',
    ['namespace', 'integration'],
    (gauge) => {
      for (const key of scaling.keys()) {
        const wanted = scaling.wanted(key);
        if (wanted !== undefined) gauge.set(labels(key), wanted);
      }
    },
  );
};
