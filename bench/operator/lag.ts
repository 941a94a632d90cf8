import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { connectBroker } from '../../operator/broker/nats-broker.ts';
import { createController } from '../../operator/control/controller.ts';
import { controlMetrics } from '../../operator/control/metrics.ts';
import { scalerManager } from '../../operator/plan/children.ts';
import type { Cluster, KubeObject } from '../../operator/reconcile/ports.ts';
import { createScaler } from '../../operator/reconcile/scaler.ts';

/*
 * The part of the operator that looks at what waits and decides how many pods there should be, in a process of its own: the meter and the
 * scaler as they are, on the streams of a real server. Only the Deployments are stand-ins that take every number.
 */
export interface LagTask {
  readonly natsUrl: string;
  readonly natsFolder: string;
  readonly integrations: readonly { readonly account: string; readonly namespace: string; readonly name: string }[];
  readonly seconds: number;
}
export interface LagResult {
  readonly coreShare: number;
  readonly looks: number;
  readonly decisions: number;
}

const standIn = (): Cluster => {
  const replicas = new Map<string, number>();
  const deployment = (name: string, namespace = ''): KubeObject => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name,
      namespace,
      managedFields: [{ manager: scalerManager, fieldsV1: { 'f:spec': { 'f:replicas': {} } } }],
    },
    spec: { replicas: replicas.get(`${namespace}/${name}`) ?? 0 },
  });
  const used: Pick<Cluster, 'get' | 'apply'> = {
    get: async (_kind, name, namespace) => deployment(name, namespace),
    apply: async (object) => {
      const { name, namespace } = object.metadata;
      replicas.set(`${namespace}/${name}`, (object['spec'] as { replicas: number }).replicas);
      return object;
    },
  };
  return used as Cluster;
};

const work = async (task: LagTask): Promise<LagResult> => {
  const log = pino({ level: 'warn' }, pino.destination(2));
  const broker = await connectBroker({ url: task.natsUrl, folder: task.natsFolder, log });
  let looks = 0;
  let decisions = 0;
  const scaler = createScaler({
    cluster: standIn(),
    lags: broker.meter,
    wake: (key) => controller.queue.add(key),
    changed: () => {},
    broken: () => {},
  });
  const controller = createController({
    name: 'scaler',
    reconcile: (key) => {
      decisions += 1;
      return scaler.reconcile(key);
    },
    metrics: controlMetrics(new Registry()),
    log,
    groupOf: (key) => key.split('/', 1)[0] ?? '',
    workers: 16,
  });
  for (const { account, namespace, name } of task.integrations)
    scaler.track(`${namespace}/${name}`, {
      integration: name,
      account,
      policy: { mode: 'Auto', minReplicas: 0, maxReplicas: 10, lagPerReplica: 100, idleAfterMs: 60_000 },
      sharedStreams: [],
      deployment: { name: `worker-${name}`, namespace },
      attemptMs: 30_000,
      partitions: 1,
      concurrency: 64,
    });
  controller.start();
  broker.meter.subscribe(scaler.moved);
  // Known once, everything is settled, and its code compiled.
  while (broker.meter.lookedAt() === undefined) await sleep(100);
  await sleep(15_000);
  let last = broker.meter.lookedAt();
  const counting = setInterval(() => {
    if (broker.meter.lookedAt() !== last) looks += 1;
    last = broker.meter.lookedAt();
  }, 50);
  decisions = 0;
  const before = process.cpuUsage();
  const started = performance.now();
  await sleep(task.seconds * 1_000);
  const { user, system } = process.cpuUsage(before);
  const coreShare = (user + system) / 1_000 / (performance.now() - started);
  clearInterval(counting);
  await controller.stop();
  await broker.close();
  return { coreShare, looks, decisions };
};

if (import.meta.main) {
  const task = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as LagTask;
  process.stdout.write(`${JSON.stringify(await work(task))}\n`);
}
