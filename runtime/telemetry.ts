import type { AddressInfo } from 'node:net';

// An import of node:http also evaluates its getters, one of which loads Node's copy of undici: 15 MiB and 50 ms for nothing.
const { createServer } = process.getBuiltinModule('node:http');

/*
 * Numbers that the hot path only increments; Prometheus objects are made when somebody asks for them. Names end up as
 * `kanava_<name>_total` (counters) and `kanava_<name>` (gauges).
 */
export interface Counters {
  delivered: number;
  acked: number;
  filtered: number;
  retried: number;
  deadLettered: number;
  /** The dead letter stream refused: the message is kept and tried again. */
  deadLettersRefused: number;
  /** The state bucket refused: the attempt is not remembered. */
  stateRefused: number;
  /** Fatal failures: configuration or credentials. */
  fatal: number;
  suspects: number;
  calls: number;
  callsFailed: number;
}
export const newCounters = (): Counters => ({
  delivered: 0,
  acked: 0,
  filtered: 0,
  retried: 0,
  deadLettered: 0,
  deadLettersRefused: 0,
  stateRefused: 0,
  fatal: 0,
  suspects: 0,
  calls: 0,
  callsFailed: 0,
});

const helps: Record<keyof Counters, string> = {
  delivered: 'Deliveries from the broker, repeats included.',
  acked: 'Messages that are done.',
  filtered: 'Messages that no sink had to get.',
  retried: 'Attempts that failed and are repeated later.',
  deadLettered: 'Dead letters written.',
  deadLettersRefused: 'Dead letters that the stream refused.',
  stateRefused: 'State records that the bucket refused.',
  fatal: 'Failures by configuration or credentials.',
  suspects: 'Messages run alone because workers died with them.',
  calls: 'Requests that were to be answered.',
  callsFailed: 'Requests that were answered with a failure.',
};

export interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly value: () => number;
}
/** A counter whose labels the hot path does not have, such as answers by status. */
export interface Tally {
  readonly name: string;
  readonly help: string;
  readonly label: string;
  readonly values: ReadonlyMap<string, number>;
}

export const count = (values: Map<string, number>, key: string): void => {
  values.set(key, (values.get(key) ?? 0) + 1);
};
/** What supervision had to do; the reasons are those of the transport, and `routes`. */
export const interruptionTally = (values: ReadonlyMap<string, number>): Tally => ({
  name: 'interruptions',
  help: 'Times that the connection to NATS, a pull or a watch had to be made again.',
  label: 'reason',
  values,
});

export interface HealthOptions {
  readonly port: number;
  /** Ready, and why not. */
  readonly ready: () => { ok: boolean; detail: Readonly<Record<string, unknown>> };
  readonly counters?: Counters;
  readonly gauges?: readonly Gauge[];
  readonly tallies?: readonly Tally[];
}
export interface Health {
  readonly port: number;
  close(): Promise<void>;
}

/** `/healthz` (the process answers), `/readyz` (with the reason), `/metrics`. */
export const serveHealth = async (options: HealthOptions): Promise<Health> => {
  const server = createServer((request, response) => {
    const answer = (status: number, type: string, text: string) => {
      response.writeHead(status, { 'content-type': type }).end(text);
    };
    switch (request.url) {
      case '/healthz':
        return answer(200, 'text/plain', 'ok\n');
      case '/readyz': {
        const { ok, detail } = options.ready();
        return answer(ok ? 200 : 503, 'application/json', `${JSON.stringify({ ready: ok, ...detail })}\n`);
      }
      case '/metrics':
        render(options).then(
          ({ type, text }) => answer(200, type, text),
          () => answer(500, 'text/plain', 'metrics could not be collected\n'),
        );
        return undefined;
      default:
        return answer(404, 'text/plain', 'known: /healthz /readyz /metrics\n');
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};

const render = async ({ counters, gauges = [], tallies = [] }: HealthOptions) => {
  // Loaded at the first scrape: a worker that nobody scrapes does not pay for it.
  // Of a CommonJS package only `default` is there in a bundle as well.
  const { Counter, Gauge, Registry, collectDefaultMetrics } = (await import('prom-client')).default;
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  for (const [name, value] of Object.entries(counters ?? {})) {
    const help = helps[name as keyof Counters];
    new Counter({ name: `kanava_${snakeCase(name)}_total`, help, registers }).inc(value);
  }
  for (const { name, help, value } of gauges) new Gauge({ name: `kanava_${name}`, help, registers }).set(value());
  for (const { name, help, label, values } of tallies) {
    const counter = new Counter({ name: `kanava_${name}_total`, help, labelNames: [label], registers });
    for (const [key, value] of values) counter.inc({ [label]: key }, value);
  }
  return { type: registry.contentType, text: await registry.metrics() };
};

const snakeCase = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
