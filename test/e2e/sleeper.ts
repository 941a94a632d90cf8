import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import pino from 'pino';
import { Registry } from 'prom-client';
import { request } from 'undici';
import { controlMetrics } from '../../operator/control/metrics.ts';
import { connectKube } from '../../operator/kube/connection.ts';
import { loadIdentity } from '../../operator/kube/identity.ts';
import { createTransport, type Transport } from '../../operator/kube/transport.ts';
import { workerName } from '../../operator/plan/children.ts';
import { Deployments } from '../../operator/plan/kinds.ts';
import { replicasOf } from '../../operator/plan/scaling.ts';
import type { KubeObject, ResourceKind } from '../../operator/reconcile/ports.ts';
import { connection, http, httpSink, integration, tenant } from '../build.ts';
import { mustKubectl } from '../cluster/kubectl.ts';
import type { NodeLayout } from '../cluster/node/layout.ts';
import type { Platform } from './demo/platform.ts';
import { reachService } from './demo/reach.ts';

/*
 * An Integration that sleeps as soon as it has nothing to do, in a tenant of its own on the native node, and a receiver in this process: so
 * one clock sees when a message is posted and when it arrives.
 */
export const sleeper = 'sleeper';
const pods: ResourceKind = { apiVersion: 'v1', kind: 'Pod', plural: 'pods', namespaced: true };

export interface Sleeper {
  readonly transport: Transport;
  /** Posts a message, and waits until it has arrived at the other end. */
  send(id: string): Promise<Wake>;
  /** How often each id arrived. */
  readonly received: ReadonlyMap<string, number>;
  /** Resolves when the pods with this label are as told; a watch sees it, so nobody asks meanwhile. */
  podsBecome(
    label: readonly [string, string],
    what: string,
    holds: (pods: readonly KubeObject[]) => boolean,
  ): Promise<void>;
  /** With the tenant and everything in it. */
  close(): Promise<void>;
}

/** Milliseconds from the post. Without the first two when it was awake. */
export interface Wake {
  readonly scaledMs: number | undefined;
  readonly runningMs: number | undefined;
  readonly deliveredMs: number;
}

export const isRunning = ({ status }: KubeObject): boolean =>
  ((status ?? {}) as { containerStatuses?: { state?: { running?: unknown } }[] }).containerStatuses?.[0]?.state
    ?.running !== undefined;

export const workerLabel = ['kanava.dev/integration', sleeper] as const;

export const startSleeper = async (platform: Platform, layout: NodeLayout): Promise<Sleeper> => {
  const received = new Map<string, number>();
  const waiting = new Map<string, () => void>();
  const receiver = createServer((incoming, response) => {
    const id = String(incoming.headers['ce-id']);
    incoming.resume().once('end', () => {
      received.set(id, (received.get(id) ?? 0) + 1);
      response.end();
      waiting.get(id)?.();
    });
  });
  receiver.listen(0, layout.hostAddress);
  await once(receiver, 'listening');
  const { port } = receiver.address() as AddressInfo;

  const apply = (object: unknown) =>
    mustKubectl(platform.kubectl, ['apply', '--server-side', '-f', '-'], { stdin: JSON.stringify(object) });
  const isReady = (kind: string, ...where: string[]) =>
    mustKubectl(
      platform.kubectl,
      ['wait', '--for=condition=Ready', `${kind}.kanava.dev/${sleeper}`, ...where, '--timeout=120s'],
      { timeout: 130_000 },
    );
  const network = {
    egress: { allow: [{ cidr: `${layout.hostAddress}/32`, ports: [port] }] },
    ingressFrom: platform.hostRanges.map((cidr) => ({ cidr })),
  };
  await apply(tenant({ namespace: { name: sleeper }, network, deletionPolicy: 'Delete' }, { name: sleeper }));
  await isReady('tenants');
  const target = { http: { url: `http://${layout.hostAddress}:${port}` } };
  await apply(connection(target, { name: 'erp', namespace: sleeper }));
  const spec = { sources: [http({ path: '/in' })], sinks: [httpSink({ path: '/out' })], scaling: { idleAfter: '1s' } };
  await apply(integration(spec, { name: sleeper, namespace: sleeper }));
  await isReady('integrations', '-n', sleeper);

  const identity = await loadIdentity({ kubeconfig: platform.provider.kubeconfig, env: {} });
  const transport = createTransport({ identity, registry: new Registry(), mayWrite: () => true });
  const metrics = controlMetrics(new Registry());
  const kube = connectKube({ transport, metrics, log: pino({ level: 'silent' }), instance: sleeper });
  const changed = new Set<() => void>();
  let seen: { scaled?: number; running?: number } = {};
  const watches = [
    kube.watch(
      pods,
      ({ type, object }) => {
        const isWorker = object.metadata.labels?.[workerLabel[0]] === workerLabel[1] && type !== 'deleted';
        if (isWorker && isRunning(object)) seen.running ??= performance.now();
        for (const look of changed) look();
      },
      { namespace: sleeper },
    ),
    kube.watch(
      Deployments,
      ({ object }) => {
        if (object.metadata.name === workerName(sleeper) && replicasOf(object) === 1) seen.scaled ??= performance.now();
      },
      { namespace: sleeper },
    ),
  ];
  await Promise.all(watches.map((watch) => watch.synced));
  const gateway = await reachService(platform, sleeper, 'gateway', 80);

  return {
    transport,
    received,
    send: async (id) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.set(id, resolve);
      seen = {};
      const started = performance.now();
      const answer = await request(`http://${gateway.host}:${gateway.port}/${sleeper}/in`, {
        method: 'POST',
        headers: { 'ce-id': id, 'ce-source': '/sleeper', 'ce-type': 'order', 'ce-specversion': '1.0' },
        body: 'a message',
      });
      await answer.body.dump();
      if (answer.statusCode !== 202) throw new Error(`the gateway answered ${answer.statusCode}`);
      const late = AbortSignal.timeout(120_000);
      await Promise.race([promise, once(late, 'abort').then(() => Promise.reject(new Error(`${id} did not arrive`)))]);
      waiting.delete(id);
      const after = (at: number | undefined) => (at === undefined ? undefined : at - started);
      return { scaledMs: after(seen.scaled), runningMs: after(seen.running), deliveredMs: performance.now() - started };
    },
    podsBecome: (label, what, holds) =>
      new Promise((resolve, reject) => {
        const end = () => {
          changed.delete(look);
          clearTimeout(timer);
        };
        const look = () => {
          if (!holds(kube.cluster.list(pods, { namespace: sleeper, labels: Object.fromEntries([label]) }))) return;
          end();
          resolve();
        };
        const timer = setTimeout(() => {
          end();
          reject(new Error(`after two minutes the pods of ${label[1]} are still not ${what}`));
        }, 120_000);
        changed.add(look);
        look();
      }),
    close: async () => {
      gateway.close();
      await kube.close();
      receiver.closeAllConnections();
      receiver.close();
      await mustKubectl(platform.kubectl, ['delete', 'tenants.kanava.dev', sleeper, '--timeout=90s'], {
        timeout: 100_000,
      });
    },
  };
};
