import { remembered } from '../../operator/api/remembered.ts';
import { catalog } from '../../runtime/catalog.ts';
import type { Attempt, Log, Publish, Volume } from '../../runtime/connector.ts';
import { createEgress } from '../../runtime/egress.ts';
import { createCalls } from '../../runtime/engine/calls.ts';
import { consumersOf } from '../../runtime/engine/consumers.ts';
import { createEngine, type Engine } from '../../runtime/engine/engine.ts';
import { createOwnInbox } from '../../runtime/engine/own-inbox.ts';
import { openParts, type Parts, type SinkPart } from '../../runtime/engine/parts.ts';
import { createPublisher } from '../../runtime/engine/publisher.ts';
import { createStepMemory } from '../../runtime/engine/step-memory.ts';
import type { Flow } from '../../runtime/flow.ts';
import type { Message } from '../../runtime/message.ts';
import { newCounters } from '../../runtime/telemetry.ts';
import type { Clock } from '../../runtime/transport/memory.ts';
import type { IncomingCall, Transport } from '../../runtime/transport/transport.ts';
import type { LocalIntegration } from './plan.ts';
import type { LocalSecrets } from './secrets.ts';

/*
 * A worker of one Integration in this process: as runtime/worker.ts composes it, without files, health port and NATS.
 */
export interface LocalWorker {
  /** Begins to pull. Until then nothing but the parts is open. */
  start(): void;
  call(call: IncomingCall): void;
  /** Messages in work. */
  running(): number;
  /** What is wrong while nothing is started. */
  readonly paused: Engine['paused'];
  /** Finishes what runs, gives back the rest. */
  stop(graceMs: number): Promise<void>;
}
export interface WorkerOptions {
  readonly integration: LocalIntegration;
  readonly transport: Transport;
  readonly secrets: () => LocalSecrets;
  readonly volume: Volume;
  /** What a sink does instead of, or beside, what it would do. */
  readonly around: (sink: SinkPart) => SinkPart;
  readonly begin?: ((message: Message) => Message) | undefined;
  readonly published?: ((event: Message) => void) | undefined;
  readonly log: Log;
  readonly clock?: Clock | undefined;
}

/** Its tables cost more than what a test does with them. */
const egressOf = remembered((rules: Flow['egress']) => createEgress(rules));

/** Rejects when a step or sink cannot be opened. */
export const openWorker = async (options: WorkerOptions): Promise<LocalWorker> => {
  const { integration, transport, log, secrets } = options;
  const { flow, namespace } = integration;
  const shutdown = new AbortController();
  const connected = Promise.resolve(transport);
  const opened = await openParts(flow, catalog, {
    secret: ({ secretKeyRef }) => valueOf(secrets(), namespace, { kind: 'Secret', ...secretKeyRef }),
    ca: (ref) => valueOf(secrets(), namespace, ref),
    egress: egressOf(flow.egress),
    volume: options.volume,
    publisher: told(createPublisher(connected, flow.integration), options.published),
    memory: createStepMemory(connected, flow.integration),
    own: createOwnInbox(connected, flow),
    now: options.clock?.now ?? Date.now,
    signal: shutdown.signal,
    log,
  });
  const { begin = (message) => message } = options;
  const [first, ...others] = opened.steps;
  const steps = first
    ? [{ ...first, run: (message: Message, attempt: Attempt) => first.run(begin(message), attempt) }, ...others]
    : [];
  const sinks = opened.sinks.map(options.around);
  const parts: Parts = { ...opened, steps, sinks };
  const counters = newCounters();
  const time = options.clock && { now: options.clock.now, after: options.clock.after };
  const engine = createEngine({ flow, parts, transport, counters, log, ...time });
  const calls = createCalls({ flow, parts, counters, log });
  return {
    start: () => engine.start(consumersOf(flow, catalog.sources)),
    call: calls.handle,
    running: () => engine.load().running,
    paused: engine.paused,
    async stop(graceMs) {
      await Promise.all([engine.drain(graceMs), calls.drain(graceMs)]);
      shutdown.abort();
      await parts.close();
    },
  };
};

const told =
  (publisher: (part: string) => Publish, published: (event: Message) => void = () => undefined) =>
  (part: string): Publish => {
    const publish = publisher(part);
    return async (event, attempt) => {
      await publish(event, attempt);
      published(event);
    };
  };

export const valueOf = (
  secrets: LocalSecrets,
  namespace: string,
  wanted: Parameters<LocalSecrets['find']>[1],
): string => {
  const found = secrets.find(namespace, wanted);
  if (found === undefined) throw new Error(`there is no key ${wanted.key} of ${wanted.kind} ${wanted.name}`);
  return found;
};
