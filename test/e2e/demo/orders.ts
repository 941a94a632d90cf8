import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { request } from 'undici';
import { compare, receivedBy } from './deliveries.ts';
import type { Expected } from './expectations.ts';
import { applyObjects, receiverNamespace, shop, shopRelease } from './objects.ts';
import { type Platform, runHelm, systemNamespace } from './platform.ts';
import { each } from './posting.ts';
import { type Reached, reachService } from './reach.ts';
import type { Report } from './report.ts';

/*
 * examples/order-events from Helm values: one publisher, two subscribers on the bus, one schedule. Nothing runs until an order comes; then as
 * many workers as the orders need, and none again.
 */
const charts = join(import.meta.dirname, '../../../charts');
const exampleOf = (chart: string) => join(charts, chart, 'examples/order-events.yaml');
const sleepers = ['orders', 'order-mail', 'order-stock'] as const;
const everyTenSeconds = '*/10 * * * * *';
const scaling = { idleAfter: '3s', lagPerReplica: 20, maxReplicas: 3 };

/** What the demo has otherwise than the example: its receiver, a schedule that one can wait for, and workers that leave soon. */
const tenantValues = (platform: Platform) => ({
  tenants: {
    [shop]: {
      network: {
        ingressFrom: platform.hostRanges.map((cidr) => ({ cidr })),
        egress: {
          allow: [
            {
              namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': receiverNamespace } },
              ports: [8080],
            },
          ],
        },
      },
      deletionPolicy: 'Delete',
    },
  },
});
const connection = (path: string) => ({
  http: { url: `http://receiver.${receiverNamespace}.svc:8080/${shop}/${path}` },
});
const integrationValues = {
  connections: { mail: connection('mail'), warehouse: connection('warehouse') },
  integrations: {
    ...Object.fromEntries(sleepers.map((name) => [name, { scaling }])),
    'stock-report': { scaling, sources: { nightly: { schedule: { cron: everyTenSeconds } } } },
  },
};

/** Tenant and Integrations as two releases; `--wait` ends when all is Ready. */
export const installShop = async (platform: Platform, report: Report): Promise<string> => {
  const install = async (release: string, chart: string, namespace: string, values: unknown) => {
    const args = ['upgrade', '--install', release, join(charts, chart), '--namespace', namespace, '--reset-values'];
    const files = ['--values', exampleOf(chart), '--values', '-'];
    const { code, stderr } = await runHelm(
      platform,
      [...args, ...files, '--wait', '--timeout', '90s'],
      JSON.stringify(values),
    );
    report.check(
      code === 0,
      `helm upgrade --install ${release} charts/${chart} --wait: ${code === 0 ? 'all Ready' : stderr}`,
    );
  };
  await install(shopRelease, 'kanava-tenant', systemNamespace, tenantValues(platform));
  const token = randomBytes(20).toString('hex');
  await applyObjects(platform, [
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'shop', namespace: shop }, stringData: { token } },
  ]);
  await install('shop', 'kanava-integrations', shop, integrationValues);
  return token;
};

interface Order {
  readonly id: string;
  readonly status: 'placed' | 'cancelled';
}
const orders: readonly Order[] = Array.from({ length: 300 }, (_, index) => ({
  id: String(4711 + index),
  status: index % 3 === 2 ? 'cancelled' : 'placed',
}));

/** One kubectl that watches: one for each look would take half a core, and miss what is short. */
const followReplicas = ({ kubectlPath, provider }: Platform, changed: (name: string, replicas: number) => void) => {
  const format = 'jsonpath={.metadata.name}={.spec.replicas}{"\\n"}';
  const args = ['--kubeconfig', provider.kubeconfig, 'get', 'deployments', '-n', shop, '--watch', '-o', format];
  const child = spawn(kubectlPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const stop = () => void child.kill();
  process.once('exit', stop);
  let failure: Error | undefined;
  child.once('error', (error) => (failure = error));
  child.once('exit', (code) => (failure ??= new Error(`kubectl get deployments --watch ended with ${code}`)));
  createInterface(child.stdout).on('line', (line) => {
    const [name = '', replicas] = line.replace(/^worker-/, '').split('=');
    changed(name, Number(replicas));
  });
  return {
    check() {
      if (failure) throw failure;
    },
    stop() {
      process.off('exit', stop);
      stop();
    },
  };
};

/** On a quiet machine it takes ten seconds; this says when to give up. */
const patienceMs = 180_000;

/** Watches the Deployments until `done`, or the deadline; returns the most replicas that each had. */
const watchReplicas = async (
  platform: Platform,
  done: (now: ReadonlyMap<string, number>) => Promise<boolean> | boolean,
): Promise<{ most: Map<string, number>; inTime: boolean }> => {
  const [now, most] = [new Map<string, number>(), new Map<string, number>()];
  const following = followReplicas(platform, (name, replicas) => {
    now.set(name, replicas);
    most.set(name, Math.max(replicas, most.get(name) ?? 0));
  });
  const end = performance.now() + patienceMs;
  try {
    for (;;) {
      following.check();
      if (await done(now)) return { most, inTime: true };
      if (performance.now() > end) return { most, inTime: false };
      await pause(150);
    }
  } finally {
    following.stop();
  }
};
const asleep = (now: ReadonlyMap<string, number>) => sleepers.every((name) => now.get(name) === 0);

const post = async ({ host, port }: Reached, token: string, order: Order): Promise<{ status: number; id: string }> => {
  const { statusCode, body } = await request(`http://${host}:${port}/orders/orders`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(order),
    signal: AbortSignal.timeout(15_000),
  });
  return { status: statusCode, id: ((await body.json()) as { id?: string }).id ?? '' };
};

export const showOrders = async (
  platform: Platform,
  receiver: Reached,
  token: string,
  report: Report,
): Promise<void> => {
  const before = await watchReplicas(platform, asleep);
  report.check(before.inTime, `shop: nothing to do, no worker runs (${sleepers.join(' 0, ')} 0)`);
  const gateway = await reachService(platform, shop, 'gateway', 80);
  const begun = performance.now();
  const accepted = await each(orders, 16, (order) => post(gateway, token, order));
  gateway.close();
  const taken = accepted.filter(({ status }) => status === 202).length;
  report.check(taken === orders.length, `shop: ${taken} of ${orders.length} orders accepted`);

  const expected = orders.flatMap(({ id: order, status }, index): Expected[] => {
    const id = accepted[index]?.id ?? '';
    const movement = { path: `/${shop}/warehouse/movements`, id, body: { order, reserve: status === 'placed' } };
    const letter = { path: `/${shop}/mail/letters`, id, body: { template: 'thanks', order } };
    return status === 'placed' ? [movement, letter] : [movement];
  });
  const seen = async () =>
    (await receivedBy(receiver)).filter(
      ({ path }) => path.startsWith(`/${shop}/`) && path !== `/${shop}/warehouse/reports`,
    );
  const { most } = await watchReplicas(platform, async () => compare(expected, await seen()).missing.length === 0);
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  const { matched, missing, unexpected, different, repeated } = compare(expected, await seen());
  report.check(
    matched === expected.length && missing.length + unexpected.length + different.length + repeated.length === 0,
    `shop: ${matched} of ${expected.length} letters and movements came over the bus in ${seconds} s, each with the id of its order; ` +
      `missing ${missing.length}, unexpected ${unexpected.length}, different ${different.length}, repeated ${repeated.length}`,
  );
  report.check(
    (most.get('orders') ?? 0) > 1,
    `shop: workers grew with the work: ${sleepers.map((name) => `${name} 0 -> ${most.get(name)}`).join(', ')}`,
  );
  const after = await watchReplicas(platform, asleep);
  report.check(after.inTime, 'shop: and left when it was done: all at 0 again');
};

/** No pod keeps the time: NATS makes the message, and the message wakes a worker. */
export const showSchedule = async (receiver: Reached, report: Report): Promise<void> => {
  const end = performance.now() + patienceMs;
  const reports = async () => (await receivedBy(receiver)).filter(({ path }) => path === `/${shop}/warehouse/reports`);
  let came = await reports();
  while (came.length === 0 && performance.now() < end) {
    await pause(200);
    came = await reports();
  }
  const right = came.filter(({ body }) => isDeepStrictEqual(JSON.parse(body), { report: 'stock' }));
  report.check(
    came.length > 0 && right.length === came.length,
    `shop: ${came.length} reports asked for on schedule "${everyTenSeconds}", the last one ${came.at(-1)?.id ?? 'never'}`,
  );
};
