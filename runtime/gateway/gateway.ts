import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { createAccept } from '../accept.ts';
import { type Catalog, catalog } from '../catalog.ts';
import type { Log } from '../connector.ts';
import { reasonOf } from '../errors.ts';
import { mountedValues } from '../mounted.ts';
import { headerRoom } from '../nats/envelope.ts';
import type { Settings } from '../settings.ts';
import { count, interruptionTally, serveHealth } from '../telemetry.ts';
import { connectTransport } from '../transport/jetstream.ts';
import { createAppliedReports } from './applied.ts';
import { createCaller } from './call.ts';
import { createListener } from './listener.ts';
import { createOnce } from './once.ts';
import { startRelay } from './relay.ts';
import { createRouteTable } from './route-table.ts';
import { watchRoutes } from './watch.ts';

export interface GatewayOptions {
  readonly tenant: string;
  readonly catalog: Catalog;
  /** Holds `nats/`, `secrets/` and `configs/`. */
  readonly folder: string;
  /** 0: any free one. */
  readonly port: number;
  /** Called for each answer. */
  readonly answered: (status: number) => void;
  /** Called when the connection to NATS or the watch of the routes had to be made again. */
  readonly interrupted?: (reason: string) => void;
  /** The connection to NATS ended for good: the process cannot go on. */
  readonly closed: (error: Error | undefined) => void;
  readonly log: Log;
}
export interface Gateway {
  readonly port: number;
  /** The route table is known and NATS is connected. */
  ready(): boolean;
  /** What readiness depends on, for people. */
  detail(): Readonly<Record<string, string>>;
  /** Listens no more, finishes what runs, and closes; slow senders are cut off after `graceMs` (default 20 s). */
  stop(graceMs?: number): Promise<void>;
}

/** The tenant's gateway: connects first, then listens; routes follow the table for as long as it runs. */
export const startGateway = async (options: GatewayOptions): Promise<Gateway> => {
  const { folder, tenant, log } = options;
  const shutdown = new AbortController();
  let stopping = false;
  const transport = await connectTransport({
    folder: join(folder, 'nats'),
    role: 'gateway',
    name: `gateway ${tenant}`,
    log,
    ...(options.interrupted ? { onTrouble: options.interrupted } : {}),
    onClosed: (error) => {
      if (!stopping) options.closed(error);
    },
  });
  const reports = createAppliedReports(transport, log);
  const table = createRouteTable({
    catalog: options.catalog,
    tenant,
    context: {
      ...mountedValues(folder),
      signal: shutdown.signal,
    },
    accept: (entry, source) => createAccept(transport, entry, source, log),
    call: createCaller(transport, shutdown.signal, log),
    once: createOnce(transport, log),
    applied: (integration, applied) => reports.report(integration, applied),
    log,
  });
  const watch = watchRoutes(transport.connection, table, log, () => options.interrupted?.('routes'));
  const listener = createListener({
    find: table.find,
    ready: table.ready,
    maxBytes: () => transport.maxPayload() - headerRoom,
    answered: options.answered,
    log,
  });
  await listener.listen({ port: options.port, host: anyAddress() });
  const { port } = listener.server.address() as AddressInfo;
  log.info({ port }, 'gateway listens');

  return {
    port,
    ready: () => table.ready() && transport.healthy(),
    detail: () => ({
      nats: transport.healthy() ? 'connected' : 'away',
      routes: table.ready() ? 'known' : 'not read yet',
    }),
    async stop(graceMs = 20_000) {
      stopping = true;
      const enough = setTimeout(() => listener.server.closeAllConnections(), graceMs);
      await listener.close();
      clearTimeout(enough);
      shutdown.abort();
      await watch.close();
      await table.close();
      await reports.close();
      await transport.close();
    },
  };
};

/** The gateway as a process: health first, because NATS may be away for a while. */
export const runGateway = async (settings: Settings, log: Log): Promise<{ close(): Promise<void> }> => {
  const answers = new Map<string, number>();
  const interruptions = new Map<string, number>();
  let gateway: Gateway | undefined;
  const health = await serveHealth({
    port: settings.healthPort,
    ready: () => ({ ok: gateway?.ready() ?? false, detail: gateway?.detail() ?? { nats: 'connecting' } }),
    tallies: [
      { name: 'gateway_answers', help: 'Answers of the gateway.', label: 'status', values: answers },
      interruptionTally(interruptions),
    ],
  });
  gateway = await startGateway({
    tenant: settings.tenant,
    catalog,
    folder: settings.dir,
    port: settings.port,
    answered: (status) => count(answers, String(status)),
    interrupted: (reason) => count(interruptions, reason),
    closed: (error) => {
      log.error({ reason: error?.message }, 'the gateway cannot go on without NATS');
      process.exit(1);
    },
    log,
  });
  // What people need seldom must not hold up what the tenant needs always.
  const relay =
    settings.relayPort === 0
      ? undefined
      : await startRelay({ port: settings.relayPort, folder: settings.dir, log }).catch((error: unknown) =>
          log.error({ reason: reasonOf(error) }, 'there is no way to NATS for people'),
        );
  return {
    async close() {
      await relay?.close();
      // The rest of the grace period is for NATS.
      await gateway.stop(settings.graceMs * 0.8);
      await health.close();
    },
  };
};

/** Both families where there are both. */
const anyAddress = (): string =>
  Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ family }) => family === 'IPv6'))
    ? '::'
    : '0.0.0.0';
