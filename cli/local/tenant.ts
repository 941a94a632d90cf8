import { createAccept, envelope } from '../../runtime/accept.ts';
import { catalog } from '../../runtime/catalog.ts';
import type { Call, Log, Volume } from '../../runtime/connector.ts';
import type { DeadLetter } from '../../runtime/dead-letters/letter.ts';
import { createEgress } from '../../runtime/egress.ts';
import type { SinkPart } from '../../runtime/engine/parts.ts';
import { reasonOf, retry } from '../../runtime/errors.ts';
import { createOnce } from '../../runtime/gateway/once.ts';
import { createRouteTable, type RouteTable } from '../../runtime/gateway/route-table.ts';
import { hasIntake, type IntakeSources, runSources } from '../../runtime/intake/sources.ts';
import type { Message } from '../../runtime/message.ts';
import { decodeAnswer, withTimeout } from '../../runtime/nats/call.ts';
import { deadLetterStream } from '../../runtime/nats/names.ts';
import type { CaRef, SecretRef } from '../../runtime/schema.ts';
import type { Clock } from '../../runtime/transport/memory.ts';
import type { Transport } from '../../runtime/transport/transport.ts';
import type { LocalBroker } from './broker.ts';
import type { LocalIntegration } from './plan.ts';
import type { LocalSecrets } from './secrets.ts';
import { type LocalWorker, openWorker, valueOf } from './worker.ts';

/*
 * The Integrations of one namespace in this process: one broker in memory for all of them, the gateway's routes, and a worker each.
 */
export interface LocalTenant {
  readonly transport: Transport;
  readonly find: RouteTable['find'];
  /** These run from now on: what did not change goes on, what cannot be opened keeps its last good form. Tells what it did. */
  apply(integrations: readonly LocalIntegration[]): Promise<readonly Change[]>;
  /** A request that is answered by the flow. */
  readonly call: (integration: string, suspended: boolean) => Call;
  /**
   * Nothing is stored that somebody has to work on, but for those that are paused; timers of steps, which only wait for their time, need not
   * count.
   */
  atRest(options?: { readonly besidesTimers?: boolean }): Promise<boolean>;
  /** Something is being worked on now. */
  isBusy(): boolean;
  /** Of the workers that start nothing, because configuration or credentials are wrong, by Integration. */
  paused(): ReadonlyMap<string, { readonly part: string; readonly code: string }>;
  /** Tells what stays behind. */
  close(graceMs: number): Promise<readonly string[]>;
}
export interface Change {
  readonly integration: string;
  readonly did: 'started' | 'restarted' | 'stopped' | 'failed';
  readonly error?: string;
}
export interface TenantOptions {
  readonly tenant: string;
  readonly namespace: string;
  /** Of now: values may change while it runs. */
  readonly secrets: () => LocalSecrets;
  readonly volume: Volume;
  /** Whether sources that fetch by themselves do so. */
  readonly fetch: boolean;
  readonly around: (integration: LocalIntegration, sink: SinkPart) => SinkPart;
  /** What the first step gets in place of a message. */
  readonly begin?: (message: Message) => Message;
  /** Told of every event that got onto the bus. */
  readonly published?: (event: Message) => void;
  readonly deadLetter: (integration: string, letter: DeadLetter) => void;
  readonly log: (integration: string) => Log;
  /** Where all of it lies; closed with the tenant. */
  readonly broker: LocalBroker;
  readonly clock?: Clock;
}

interface Running {
  readonly integration: LocalIntegration;
  readonly worker: LocalWorker | undefined;
  readonly sources: IntakeSources | undefined;
}
const restartGraceMs = 5_000;

export const openTenant = (options: TenantOptions): LocalTenant => {
  const { namespace, broker } = options;
  const { transport } = broker;
  const running = new Map<string, Running>();
  const served = new Map<string, (problem: string | undefined) => void>();
  const consumers = new Map<string, { integration: string; stream: string; name: string }>();
  const shutdown = new AbortController();
  const log = options.log('');
  let revision = 0;

  const call =
    (integration: string, suspended: boolean): Call =>
    async (message, { timeoutMs }) => {
      if (suspended) throw retry('Suspended', 'the Integration is suspended');
      const worker = running.get(integration)?.worker;
      if (!worker) throw retry('NoWorker', 'no worker took the request in time');
      const { headers, body } = envelope(message, transport.maxPayload());
      const { promise, resolve } = Promise.withResolvers<Parameters<typeof decodeAnswer>>();
      worker.call({ headers: withTimeout(headers, timeoutMs), body, answer: (...answer) => resolve(answer) });
      return decodeAnswer(...(await promise));
    };
  const values = {
    secret: ({ secretKeyRef }: SecretRef) => valueOf(options.secrets(), namespace, { kind: 'Secret', ...secretKeyRef }),
    ca: (ref: CaRef) => valueOf(options.secrets(), namespace, ref),
  };
  const table = createRouteTable({
    catalog,
    tenant: options.tenant,
    context: { ...values, signal: shutdown.signal },
    accept: (entry, source) => createAccept(transport, entry, source, log),
    call,
    once: createOnce({ ...transport, bucket: () => broker.answers }, log),
    applied: (integration, applied) => served.get(integration)?.(applied?.error),
    log: { ...log, info: () => undefined, error: () => undefined },
  });

  /** The gateway's part; resolves when it is served, with what went wrong. */
  const route = async ({ name, routes }: LocalIntegration, remove = false): Promise<string | undefined> => {
    revision += 1;
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    served.set(name, resolve);
    const value = routes && !remove ? Buffer.from(JSON.stringify(routes)) : undefined;
    table.changed({ integration: name, revision, value });
    return promise;
  };
  const prepare = async (integration: LocalIntegration): Promise<unknown> => {
    const { name, streams } = integration;
    try {
      await broker.prepare(integration, (letter) => options.deadLetter(name, letter));
    } catch (error) {
      return error;
    }
    for (const { name: stream, consumers: each } of streams.filter(({ name: of }) => of !== deadLetterStream(name)))
      for (const consumer of each)
        consumers.set(`${stream}/${consumer.name}`, { integration: name, stream, name: consumer.name });
    return undefined;
  };
  const fetching = ({ name, flow }: LocalIntegration): IntakeSources | undefined => {
    if (!options.fetch || !hasIntake(flow, catalog.sources)) return undefined;
    const egress = createEgress(flow.egress);
    return runSources({ ...values, flow, catalog, transport, egress, volume: options.volume, log: options.log(name) });
  };
  const start = async (integration: LocalIntegration): Promise<Change> => {
    const { name, suspended } = integration;
    const old = running.get(name);
    let worker: LocalWorker | undefined;
    try {
      if (!suspended)
        worker = await openWorker({
          integration,
          transport,
          secrets: options.secrets,
          volume: options.volume,
          around: (sink) => options.around(integration, sink),
          begin: options.begin,
          published: options.published,
          log: options.log(name),
          clock: options.clock,
        });
      const problem = await route(integration);
      if (problem !== undefined) throw new Error(problem);
      await old?.sources?.close();
      await old?.worker?.stop(restartGraceMs);
      worker?.start();
      running.set(name, { integration, worker, sources: suspended ? undefined : fetching(integration) });
      return { integration: name, did: old ? 'restarted' : 'started' };
    } catch (error) {
      if (running.get(name) === old) await worker?.stop(0);
      return { integration: name, did: 'failed', error: reasonOf(error) };
    }
  };
  const stop = async ({ integration, worker, sources }: Running): Promise<Change> => {
    await route(integration, true);
    running.delete(integration.name);
    await sources?.close();
    await worker?.stop(restartGraceMs);
    return { integration: integration.name, did: 'stopped' };
  };

  const paused = () =>
    new Map(
      [...running].flatMap(([name, { worker }]) => {
        const reason = worker?.paused();
        return reason ? [[name, reason] as const] : [];
      }),
    );

  return {
    transport,
    call,
    find: table.find,
    async apply(integrations) {
      const wanted = new Map(integrations.map((integration) => [integration.name, integration]));
      const gone = [...running.values()].filter(({ integration }) => !wanted.has(integration.name));
      const changed = integrations.filter(({ name, hash }) => running.get(name)?.integration.hash !== hash);
      // All subscribe before one publishes.
      const prepared = await Promise.all(changed.map(prepare));
      return Promise.all([
        ...gone.map(stop),
        ...changed.map((integration, index) => {
          const problem = prepared[index];
          if (problem === undefined) return start(integration);
          return { integration: integration.name, did: 'failed' as const, error: reasonOf(problem) };
        }),
      ]);
    },
    async atRest({ besidesTimers = false } = {}) {
      const stuck = paused();
      const working = [...running.keys()].filter((name) => !stuck.has(name));
      const timers = besidesTimers ? working.map((name) => broker.timers(name)) : [];
      const waiting = timers.reduce((total, each) => total + each, 0);
      const counted = [...consumers.values()].filter(({ integration }) => !stuck.has(integration));
      const fills = await Promise.all(counted.map((consumer) => transport.fill(consumer)));
      const stored = fills.reduce((total, { pending, ackPending }) => total + pending + ackPending, 0);
      return stored === waiting && broker.untold() === 0;
    },
    isBusy: () => [...running.values()].some(({ worker }) => (worker?.running() ?? 0) > 0),
    paused,
    async close(graceMs) {
      await Promise.all([...running.values()].map(async ({ sources }) => sources?.close()));
      await Promise.all([...running.values()].map(async ({ worker }) => worker?.stop(graceMs)));
      shutdown.abort();
      await table.close();
      return await broker.close();
    },
  };
};
