import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterEach, describe, expect, test } from 'vitest';
import { createController, type Reconcile } from '../../../operator/control/controller.ts';
import {
  controllerMoves,
  type HealthServer,
  startHealth,
  watchAlive,
  watchSynced,
} from '../../../operator/control/health.ts';
import { controlMetrics } from '../../../operator/control/metrics.ts';

const log = pino({ level: 'silent' });
const until = async (condition: () => boolean) => {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
};
const started = (reconcile: Reconcile, options: { workers?: number; stuckAfterMs?: number } = {}) => {
  const registry = new Registry();
  const metrics = controlMetrics(registry);
  const controller = createController({ name: 'integration', reconcile, metrics, log, ...options });
  controller.start();
  return { controller, registry };
};

describe('controller', () => {
  test('a failure is retried until it succeeds, and counted', async () => {
    const tries: string[] = [];
    const { controller, registry } = started(async (key) => {
      tries.push(key);
      if (tries.length === 1) throw new Error('world');
      if (tries.length === 2) throw new TypeError('code');
      return undefined;
    });
    controller.queue.add('acme/orders');
    await until(() => tries.length === 3);
    await controller.stop();
    const text = await registry.metrics();
    for (const line of [
      'controller_runtime_reconcile_total{controller="integration",result="error"} 2',
      'controller_runtime_reconcile_total{controller="integration",result="success"} 1',
      'controller_runtime_reconcile_errors_total{controller="integration"} 2',
      'controller_runtime_reconcile_panics_total{controller="integration"} 1',
      'workqueue_retries_total{name="integration"} 2',
      'workqueue_adds_total{name="integration"} 3',
    ])
      expect(text).toContain(line);
  });

  test('a key is reconciled again after requeueAfterMs', async () => {
    let runs = 0;
    const { controller } = started(async () => (++runs < 3 ? { requeueAfterMs: 1 } : undefined));
    controller.queue.add('a');
    await until(() => runs === 3);
    await controller.stop();
    expect(runs).toBe(3);
  });

  test('keys added before start wait; stop waits for those in work', async () => {
    const gate = Promise.withResolvers<undefined>();
    const seen: string[] = [];
    const controller = createController({
      name: 'x',
      metrics: controlMetrics(new Registry()),
      log,
      workers: 1,
      reconcile: (key) => {
        seen.push(key);
        return gate.promise;
      },
    });
    controller.queue.add('a');
    controller.queue.add('b');
    expect(seen).toEqual([]);
    controller.start();
    await until(() => seen.length === 1);
    let isStopped = false;
    const stopping = controller.stop().then(() => (isStopped = true));
    expect(isStopped).toBe(false);
    gate.resolve(undefined);
    await stopping;
    expect(seen).toEqual(['a']);
  });
});

describe('health', () => {
  let health: HealthServer | undefined;
  afterEach(() => health?.close());

  test('says what is wrong, and only then', async () => {
    const gate = Promise.withResolvers<undefined>();
    const { controller, registry } = started(() => gate.promise, { stuckAfterMs: 0 });
    let silent = 0;
    let isSynced = false;
    const watch = { name: 'tenants.kanava.dev', silentSeconds: () => silent, hasSynced: () => isSynced };
    health = await startHealth({
      port: 0,
      registry,
      alive: () => [watchAlive(watch), controllerMoves(controller)],
      ready: () => [watchSynced(watch)],
    });
    const get = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${health?.port}${path}`);
      return [response.status, await response.text()] as const;
    };
    expect(await get('/healthz')).toEqual([200, 'ok\n']);
    expect(await get('/readyz')).toEqual([503, 'the first list of tenants.kanava.dev is not complete\n']);
    isSynced = true;
    expect(await get('/readyz')).toEqual([200, 'ok\n']);
    silent = 1201;
    controller.queue.add('slow');
    await until(() => controller.queue.longestRunningSeconds() > 0);
    const [status, text] = await get('/healthz');
    expect(status).toBe(503);
    expect(text).toContain('tenants.kanava.dev has heard nothing for 1201 s');
    expect(text).toContain('controller integration: one key has been in work');
    expect((await get('/metrics'))[1]).toContain('workqueue_longest_running_processor_seconds{name="integration"}');
    expect((await get('/other'))[0]).toBe(404);
    gate.resolve(undefined);
    await controller.stop();
  });
});
