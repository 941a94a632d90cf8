import { createAccept, inboxOf, mostInside } from '../accept.ts';
import type { Catalog } from '../catalog.ts';
import type { IntakeContext, Log, Pace } from '../connector.ts';
import { reasonOf } from '../errors.ts';
import { connectionOf, type Flow, pluginOf } from '../flow.ts';
import { headerRoom } from '../nats/envelope.ts';
import type { Transport } from '../transport/transport.ts';
import { machinePace } from './pace.ts';

/*
 * The sources of an Integration that hold a session by themselves. One that fails is started again; the others do not notice.
 */
export interface IntakeSources {
  /** What is wrong with sources, by name; empty when all is well. */
  problems(): ReadonlyMap<string, string>;
  /** Finishes what is being handed over. */
  close(): Promise<void>;
}
export interface IntakeOptions extends Pick<IntakeContext, 'secret' | 'ca' | 'egress' | 'volume'> {
  readonly flow: Flow;
  readonly catalog: Pick<Catalog, 'sources' | 'connections'>;
  readonly transport: Transport;
  /** Called for each message that the inbox has. */
  readonly accepted?: (duplicate: boolean) => void;
  readonly pace?: Pace;
  readonly log: Log;
}
const longestAgainMs = 30_000;

export const hasIntake = (flow: Pick<Flow, 'sources'>, sources: Catalog['sources']): boolean =>
  flow.sources.some((item) => pluginOf(item, sources).definition.placement === 'intake');

export const runSources = (options: IntakeOptions): IntakeSources => {
  const { flow, catalog, transport, log, accepted, pace = machinePace } = options;
  const shutdown = new AbortController();
  const { signal } = shutdown;
  const problems = new Map<string, string>();
  const say = (name: string, problem: string | undefined) =>
    problem === undefined ? problems.delete(name) : problems.set(name, problem);

  const running = flow.sources.map(async (item) => {
    const { name } = item;
    const { definition, config } = pluginOf(item, catalog.sources);
    if (definition.placement !== 'intake') return;
    const accept = createAccept(transport, inboxOf(flow), name, log);
    const context: IntakeContext = {
      secret: options.secret,
      ca: options.ca,
      egress: options.egress,
      volume: options.volume,
      connection: connectionOf(flow, config, catalog.connections),
      source: `/${flow.tenant}/${flow.integration}/${name}`,
      maxBytes: () => transport.maxPayload() - headerRoom,
      largeBodies: flow.largeBodies && { above: mostInside, largest: flow.largeBodies.largest },
      async accept(message) {
        const taken = await accept(message);
        accepted?.(taken.duplicate);
        return taken;
      },
      trouble: (problem) => void say(name, problem),
      pace,
      signal,
      log,
    };
    for (let againMs = 1_000; !signal.aborted; againMs = Math.min(againMs * 2, longestAgainMs)) {
      try {
        await definition.run(config, context);
      } catch (error) {
        if (signal.aborted) return;
        say(name, reasonOf(error));
        log.error({ source: name, reason: reasonOf(error) }, 'a source failed and is started again');
      }
      await pace.wait(againMs, signal);
    }
  });
  return {
    problems: () => problems,
    async close() {
      shutdown.abort();
      await Promise.all(running);
    },
  };
};
