import { setTimeout as sleep } from 'node:timers/promises';
import { apiPath } from '../operator/kube/api-path.ts';
import { Deployments } from '../operator/plan/kinds.ts';
import type { KubeObject } from '../operator/reconcile/ports.ts';
import { mainLayout } from '../test/cluster/node/layout.ts';
import { nativeProvider } from '../test/cluster/providers/native.ts';
import { installChart, platformOf, provideImages } from '../test/e2e/demo/platform.ts';
import { createReport } from '../test/e2e/demo/report.ts';
import { isRunning, type Sleeper, sleeper, startSleeper, workerLabel } from '../test/e2e/sleeper.ts';
import { median, roundsOf } from './measure.ts';

export const help = `wake [ROUNDS]    ROUNDS: 10 unless said otherwise

  From a message that is posted to an idle Integration until it is delivered, on the native node. Beside it, in turns, a bare Deployment of
  the same image and volumes with a trivial command, from its scale to 1 until its container runs. A cluster that was not there is removed
  again.`;

const bareLabel = ['kanava.dev/bench', 'bare'] as const;
/** As the worker's, without what makes it the operator's, and with nothing to do. */
const bareDeployment = ({ spec }: KubeObject) => {
  const { template } = spec as {
    template: { spec: { containers: [Record<string, unknown>] } & Record<string, unknown> };
  };
  const { image, imagePullPolicy, resources, securityContext, volumeMounts } = template.spec.containers[0];
  const labels = Object.fromEntries([bareLabel]);
  const container = { name: 'bare', image, imagePullPolicy, resources, securityContext, volumeMounts };
  const command = ['node', '-e', 'process.on("SIGTERM", () => process.exit()); setInterval(() => {}, 60_000)'];
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'bare', namespace: sleeper },
    spec: {
      replicas: 0,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { ...template.spec, containers: [{ ...container, command }] },
      },
    },
  };
};

const startBare = async ({ transport, podsBecome }: Sleeper) => {
  const at = (name: string, subresource?: string) => apiPath(Deployments, { namespace: sleeper, name, subresource });
  const worker = (await transport.request({ method: 'GET', path: at(`worker-${sleeper}`) })) as KubeObject;
  await transport.request({
    method: 'PATCH',
    path: at('bare'),
    query: { fieldManager: 'bench', force: 'true' },
    contentType: 'application/apply-patch+yaml',
    body: bareDeployment(worker),
  });
  const scale = (replicas: number) =>
    transport.request({
      method: 'PATCH',
      path: at('bare', 'scale'),
      contentType: 'application/merge-patch+json',
      body: { spec: { replicas } },
    });
  return {
    async milliseconds() {
      const started = performance.now();
      await scale(1);
      await podsBecome(bareLabel, 'running', (pods) => pods.some(isRunning));
      const found = performance.now() - started;
      await scale(0);
      await podsBecome(bareLabel, 'gone', (pods) => pods.length === 0);
      return found;
    },
  };
};

export const run = async (args: string[]): Promise<void> => {
  const rounds = roundsOf(args[0], 10);
  const report = createReport((line) => console.error(line));
  const platform = await platformOf(nativeProvider(mainLayout));
  const { up: wasUp } = await platform.provider.status();
  await report.phase('A cluster, images and the chart', async () => {
    await platform.provider.up(report.note);
    await installChart(platform, await provideImages(platform, report));
  });
  const sleeping = await report.phase('A tenant with an Integration that sleeps', () =>
    startSleeper(platform, mainLayout),
  );
  const wakes: number[] = [];
  const bares: number[] = [];
  try {
    const bare = await startBare(sleeping);
    for (let round = 0; round <= rounds; round += 1) {
      const bareMs = await bare.milliseconds();
      await sleeping.podsBecome(workerLabel, 'gone', (pods) => pods.length === 0);
      // At no fixed distance from what the operator does now and then.
      await sleep(500 + Math.random() * 1_000);
      const wake = await sleeping.send(`round-${round}`);
      await sleeping.podsBecome(workerLabel, 'gone', (pods) => pods.length === 0);
      // The first round warms the file cache.
      if (round === 0) continue;
      bares.push(bareMs);
      wakes.push(wake.deliveredMs);
      const ms = (value: number | undefined) => `${(value ?? Number.NaN).toFixed(0)} ms`;
      console.log(
        `round ${round}: scaled after ${ms(wake.scaledMs)}, container runs after ${ms(wake.runningMs)}, delivered after ${ms(wake.deliveredMs)}; bare container runs after ${ms(bareMs)}`,
      );
    }
  } finally {
    await sleeping.close();
    if (!wasUp) await platform.provider.down(report.note);
  }
  console.log(`wake_ms ${median(wakes).toFixed(0)}`);
  console.log(`bare_running_ms ${median(bares).toFixed(0)}`);
  console.log(`wake_vs_bare_running ${(median(wakes) / median(bares)).toFixed(2)}`);
};
