import type { Log } from './connector.ts';
import { reasonOf } from './errors.ts';
import { createLog } from './log.ts';
import { readSettings, type Settings } from './settings.ts';

/*
 * `runtime worker|gateway|intake`: exit 0 after SIGTERM or SIGINT, 1 when it cannot start or go on, 2 for wrong usage. The health port answers
 * from the first moment, so that a process that waits for NATS is alive and not ready.
 */
type Run = (settings: Settings, log: Log) => Promise<{ close(): Promise<void> }>;
const roles: Readonly<Record<string, () => Promise<Run>>> = {
  worker: async () => (await import('./worker.ts')).runWorker,
  gateway: async () => (await import('./gateway/gateway.ts')).runGateway,
  intake: async () => (await import('./intake/intake.ts')).runIntake,
};

/** Beyond the grace period; Kubernetes kills at its own. */
const lastWordMs = 3_000;

const main = async (name: string, load: () => Promise<Run>): Promise<void> => {
  const settings = readSettings(process.env);
  const { tenant, integration } = settings;
  const log = createLog(settings.logLevel, { role: name, tenant, ...(integration ? { integration } : {}) });
  let running: { close(): Promise<void> } | undefined;
  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    log.info({ graceMs: settings.graceMs }, 'stopping');
    setTimeout(() => process.exit(1), settings.graceMs + lastWordMs).unref();
    await running?.close();
    log.info({}, 'stopped');
    process.exit();
  };
  const fail = (text: string) => (error: unknown) => {
    log.fatal({ reason: reasonOf(error) }, text);
    process.exit(1);
  };
  // Beside what launch.cjs does until here.
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => void stop().catch(fail('stopping failed')));
  running = await load()
    .then((run) => run(settings, log))
    .catch(fail('cannot start'));
};

const name = process.argv[2] ?? '';
const load = roles[name];
if (load) void main(name, load);
else {
  process.stderr.write(`usage: runtime ${Object.keys(roles).join('|')}\n`);
  process.exit(2);
}
