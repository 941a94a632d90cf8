import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { milliseconds } from '../runtime/schema.ts';
import { schemaRevision } from './api/meta.ts';
import { connectBroker } from './broker/nats-broker.ts';
import { createController } from './control/controller.ts';
import { startElection } from './control/election.ts';
import { controllerMoves, lagMoves, startHealth, watchAlive, watchSynced } from './control/health.ts';
import { giveMemoryBack } from './control/memory.ts';
import { controlMetrics } from './control/metrics.ts';
import { scalerMetrics } from './control/scaler-metrics.ts';
import { connectKube } from './kube/connection.ts';
import { loadIdentity } from './kube/identity.ts';
import { kubeLeases } from './kube/leases.ts';
import { createTransport } from './kube/transport.ts';
import { reconcileConnection } from './reconcile/connection.ts';
import { bodySweepMs, type Context } from './reconcile/context.ts';
import { reconcileIntegration } from './reconcile/integration.ts';
import { whileLeading } from './reconcile/leading.ts';
import { reconcileMountedSecret } from './reconcile/mounted-secrets.ts';
import { createOwnRoutes } from './reconcile/own-routes.ts';
import { createRecentLooks } from './reconcile/recent-looks.ts';
import { createScaler } from './reconcile/scaler.ts';
import { createSecretWatches } from './reconcile/secret-watches.ts';
import { startProblem } from './reconcile/start-problem.ts';
import { reconcileTenant } from './reconcile/tenant.ts';
import { brokenAccounts, everybody, waitingForGateway, wakers } from './reconcile/wake.ts';
import { watched } from './reconcile/watched.ts';
import { readSettings, type Settings } from './settings.ts';

const help = `The Kanava operator. It takes no arguments; the chart sets everything.

  KANAVA_NAMESPACE        the operator's own namespace (required)
  KANAVA_POD_NAME         name of this pod: who leads, who wrote an event (required)
  KANAVA_SERVICE_ACCOUNT  ServiceAccount of this pod (required)
  KANAVA_CONFIG           settings; default /etc/kanava-operator/config.json
  KANAVA_NATS_FOLDER      keys and credentials; default /etc/kanava-operator/nats
  KANAVA_HEALTH_PORT      /healthz, /readyz, /metrics; default 8081
  KANAVA_LOG_LEVEL        trace, debug, info, warn, error; default info
  KANAVA_TOKEN_FOLDER     the pod's own account; default /var/run/secrets/kubernetes.io/serviceaccount
  KUBECONFIG              instead of the pod's own account, for running it outside of a cluster`;

/** Time for the admission policies of a fresh installation to take effect; then the pod restarts and says so again. */
const startWithinMs = 120_000;
const drainMs = 20_000;
/** Figures in a status are rough, and each write of them wakes every watcher. */
const statusEveryMs = 5_000;
const tenantRestMs = 1_000;

const natsCa = ({ natsFolder }: Settings): string | undefined => {
  const file = join(natsFolder, 'ca.crt');
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
};

const run = async (env: NodeJS.ProcessEnv): Promise<void> => {
  const settings = readSettings(env);
  const log = pino({ level: settings.logLevel, base: { pod: settings.podName } });
  const credentialsMs = milliseconds(settings.config.credentials.lifetime);
  if (!credentialsMs)
    throw new Error('credentials.lifetime in the configuration is no duration; write one such as 24h');
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const metrics = controlMetrics(registry);

  // The election needs the transport and the transport asks the election; before there is one, nobody leads.
  let isLeading = () => false;
  const { KUBECONFIG: kubeconfig, KANAVA_TOKEN_FOLDER: folder } = env;
  const identity = await loadIdentity({ env, ...(kubeconfig && { kubeconfig }), ...(folder && { folder }) });
  const transport = createTransport({ identity, registry, mayWrite: () => isLeading() });
  const kube = connectKube({ transport, metrics, log, instance: settings.podName });
  const broker = await connectBroker({ url: settings.config.nats.url, folder: settings.natsFolder, log });

  const scaler = createScaler({
    cluster: kube.cluster,
    lags: broker.meter,
    wake: (key) => scaling.queue.add(key),
    changed: (key) => integrations.queue.after(key, statusEveryMs),
    broken: (key) => integrations.queue.add(key),
  });
  const secrets = createSecretWatches(kube, (change) => wake.secret(change));
  const accountLooks = createRecentLooks(() => performance.now());
  const ownRoutes = createOwnRoutes();
  const context: Context = {
    cluster: kube.cluster,
    broker: whileLeading(broker, () => isLeading()),
    settings,
    natsCa: natsCa(settings),
    credentialsMs,
    now: () => Date.now(),
    log: { info: log.info.bind(log), warn: log.warn.bind(log), error: log.error.bind(log), debug: log.debug.bind(log) },
    scaler,
    secretWatches: secrets,
    accountLooks,
    bodySweeps: createRecentLooks(() => performance.now(), bodySweepMs),
    ownRoutes,
  };
  const groupOf = (key: string) => key.split('/', 1)[0] ?? '';
  const tenants = createController({
    name: 'tenant',
    reconcile: reconcileTenant(context),
    metrics,
    log,
    // Each Integration that comes or goes is one more thing to take up, and they come by the hundred.
    restMs: tenantRestMs,
  });
  const integrations = createController({
    name: 'integration',
    reconcile: reconcileIntegration(context),
    metrics,
    log,
    groupOf,
    workers: 16,
    // Two hundred a second: thousands that fall due at once are not looked at in one go.
    lookPaceMs: 5,
  });
  const connections = createController({
    name: 'connection',
    reconcile: reconcileConnection(context),
    metrics,
    log,
    groupOf,
  });
  const mountedSecrets = createController({
    name: 'mounted-secret',
    reconcile: reconcileMountedSecret(context),
    metrics,
    log,
    groupOf,
  });
  const scaling = createController({ name: 'scaler', reconcile: scaler.reconcile, metrics, log, groupOf, workers: 16 });
  const controllers = [tenants, integrations, connections, mountedSecrets, scaling];
  scalerMetrics(registry, scaler, broker.meter);
  const wake = wakers(kube.cluster, {
    tenant: (name) => tenants.queue.add(name),
    integration: (key) => integrations.queue.add(key),
    connection: (key) => connections.queue.add(key),
    mountedSecret: (key) => mountedSecrets.queue.add(key),
  });

  const watches = watched(wake, settings.namespace).map(({ kind, onChange, ...options }) =>
    kube.watch(kind, onChange, options),
  );
  const health = await startHealth({
    port: settings.healthPort,
    alive: () => [
      ...kube.watches().map((watch) => watchAlive(watch)),
      ...controllers.map(controllerMoves),
      lagMoves(broker.meter),
    ],
    ready: () => watches.map((watch) => watchSynced(watch)),
    registry,
  });

  /** Nothing is written before all is known and the wall stands. */
  const lead = async () => {
    await Promise.all(watches.map((watch) => watch.synced));
    const until = performance.now() + startWithinMs;
    for (;;) {
      const problem = await startProblem(kube.cluster, settings, schemaRevision).catch(
        (error: unknown) => `it could not be asked: ${String(error)}`,
      );
      if (!problem) break;
      if (performance.now() > until) throw new Error(problem);
      log.warn({ problem }, 'not starting yet');
      await sleep(1_000);
    }
    for (const controller of controllers) controller.start();
    broker.meter.subscribe(scaler.moved);
    const isBroken = (tenant: string) => {
      accountLooks.forget(tenant);
      tenants.queue.add(tenant);
    };
    broker.meter.subscribe(brokenAccounts(kube.cluster, { tenant: isBroken }));
    const look = (key: string) => integrations.queue.after(key, 0);
    broker.meter.subscribe(waitingForGateway(kube.cluster, { look }, ownRoutes));
    broker.meter.onTurn(everybody(kube.cluster, { tenant: isBroken, look }));
    giveMemoryBack(() => controllers.reduce((sum, { queue }) => sum + queue.news(), 0));
    log.info({ natsUrl: settings.config.nats.url }, 'leading');
  };
  const fail = (error: unknown) => {
    log.fatal({ err: error }, 'cannot go on');
    process.exit(1);
  };
  const election = startElection({
    name: 'kanava-operator',
    leases: kubeLeases(transport, settings.namespace, 'kanava-operator'),
    identity: `${settings.podName}_${randomUUID()}`,
    onElected: () => void lead().catch(fail),
    onLost: () => fail(new Error('the lease is lost: another operator may lead now')),
    metrics,
    log,
  });
  isLeading = () => election.isLeader();

  const stop = async (signal: NodeJS.Signals) => {
    log.info({ signal }, 'stopping');
    const drained = Promise.all(controllers.map((controller) => controller.stop()));
    await Promise.race([drained, sleep(drainMs)]);
    await election.stop();
    await Promise.race([Promise.all([kube.close(), broker.close(), health.close()]), sleep(3_000)]);
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop(signal).catch(fail));
};

if (process.argv.includes('--help')) process.stdout.write(`${help}\n`);
else
  await run(process.env).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  });
