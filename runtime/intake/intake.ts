import { join } from 'node:path';
import { catalog } from '../catalog.ts';
import type { Log } from '../connector.ts';
import { createEgress } from '../egress.ts';
import { mountedValues, readFlow } from '../mounted.ts';
import type { Settings } from '../settings.ts';
import { count, interruptionTally, serveHealth } from '../telemetry.ts';
import { connectTransport, type JetStreamTransport } from '../transport/jetstream.ts';
import { type IntakeSources, runSources } from './sources.ts';

/** The intake as a process: health first, because NATS may be away for a while. It is ready while all of its sources work. */
export const runIntake = async (settings: Settings, log: Log): Promise<{ close(): Promise<void> }> => {
  const flow = readFlow(settings.dir);
  const messages = new Map<string, number>();
  const interruptions = new Map<string, number>();
  let transport: JetStreamTransport | undefined;
  let sources: IntakeSources | undefined;
  let stopping = false;
  const health = await serveHealth({
    port: settings.healthPort,
    ready: () => {
      const problems = sources?.problems();
      return {
        ok: problems?.size === 0 && transport?.healthy() === true && !stopping,
        detail: { nats: transport?.healthy() ? 'connected' : 'away', sources: Object.fromEntries(problems ?? []) },
      };
    },
    tallies: [
      { name: 'intake_messages', help: 'Messages that the inbox has.', label: 'stored', values: messages },
      interruptionTally(interruptions),
    ],
  });
  transport = await connectTransport({
    folder: join(settings.dir, 'nats'),
    role: 'intake',
    integration: flow.integration,
    name: `intake ${flow.integration}`,
    log,
    onTrouble: (reason) => count(interruptions, reason),
    onClosed: (error) => {
      if (stopping) return;
      log.error({ reason: error?.message }, 'the intake cannot go on without NATS');
      process.exit(1);
    },
  });
  const connected = transport;
  sources = runSources({
    ...mountedValues(settings.dir),
    flow,
    catalog,
    transport: connected,
    egress: createEgress(flow.egress),
    volume: (claim) => join(settings.volumes, claim),
    accepted: (duplicate) => count(messages, duplicate ? 'before' : 'now'),
    log,
  });
  log.info({ generation: flow.generation }, 'intake runs');
  return {
    async close() {
      stopping = true;
      await sources?.close();
      await connected.close();
      await health.close();
    },
  };
};
