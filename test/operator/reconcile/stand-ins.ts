import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/transport-node';
import { Registry } from 'prom-client';
import { Integrations } from '../../../operator/api/meta.ts';
import { makeUser } from '../../../operator/broker/credentials.ts';
import { apiPath } from '../../../operator/kube/api-path.ts';
import { loadIdentity } from '../../../operator/kube/identity.ts';
import { createTransport } from '../../../operator/kube/transport.ts';
import { readAccountKeys } from '../../../operator/plan/account.ts';
import { deploymentState } from '../../../operator/plan/deployment.ts';
import { Deployments } from '../../../operator/plan/kinds.ts';
import type { AccountKeys, KubeObject, ResourceKind } from '../../../operator/reconcile/ports.ts';
import { appliedKey, bucketSubject, inboxPrefix } from '../../../runtime/nats/names.ts';
import { connectWith } from '../broker/world.ts';
import { type OperatorWorld, operatorNamespace, until } from './operator-world.ts';

/*
 * What an API server alone lacks for an Integration to become ready: the Deployment controller with a kubelet, whose pods are ready at
 * once, and the tenant's gateway, which takes up all routes at once. For one tenant, named as its namespace.
 */
export interface StandIns {
  stop(): Promise<void>;
}

export const startStandIns = async (
  world: OperatorWorld,
  tenant: string,
  { pods = true }: { readonly pods?: boolean } = {},
): Promise<StandIns> => {
  const identity = await loadIdentity({ kubeconfig: world.api.kubeconfig, env: {} });
  const transport = createTransport({ identity, registry: new Registry(), mayWrite: () => true });
  const list = async (kind: ResourceKind) =>
    (
      (await transport.request({ method: 'GET', path: apiPath(kind, { namespace: tenant }) })) as {
        items: KubeObject[];
      }
    ).items;
  const rollOut = async ({ metadata, spec }: KubeObject): Promise<void> => {
    const { replicas } = spec as { replicas: number };
    const { name, namespace, generation } = metadata;
    const status = { observedGeneration: generation, replicas, updatedReplicas: replicas, readyReplicas: replicas };
    await transport.request({
      method: 'PATCH',
      path: apiPath(Deployments, { namespace, name, subresource: 'status' }),
      contentType: 'application/merge-patch+json',
      body: { status },
    });
  };
  const isRolledOut = (deployment: KubeObject) => {
    const { replicas } = deployment['spec'] as { replicas: number };
    const { ready, rollout } = deploymentState(deployment);
    return rollout === 'done' && ready === replicas;
  };

  const keys = await accountOf(world, tenant);
  const gateway = await connectWith(
    world.nats.url,
    makeUser(keys, 'gateway', undefined, 3_600_000).creds,
    inboxPrefix('gateway', undefined),
  );
  const applied = new Map<string, string>();
  const round = async (): Promise<void> => {
    const waiting = pods ? (await list(Deployments)).filter((deployment) => !isRolledOut(deployment)) : [];
    for (const deployment of waiting) await rollOut(deployment);
    const streams = await world.nats.broker.tenant(keys).streams();
    const revision = streams.find(({ name }) => name === 'KV_gateway')?.lastSequence ?? 0;
    for (const { metadata } of await list(Integrations)) {
      const { name, uid, generation } = metadata;
      const seen = `${uid} ${generation} ${revision}`;
      if (applied.get(name) === seen) continue;
      await serve(gateway, name, { uid, generation, revision });
      applied.set(name, seen);
    }
  };
  const stopped = new AbortController();
  const loop = async (): Promise<void> => {
    // A round meets objects that go while it looks, and servers that a test takes away.
    for (; !stopped.signal.aborted; await sleep(100, undefined, { signal: stopped.signal }).catch(() => {}))
      await round().catch(() => {});
  };
  const running = loop();
  return {
    stop: async () => {
      stopped.abort();
      await running;
      await gateway.close();
      await transport.close();
    },
  };
};

const serve = (gateway: NatsConnection, integration: string, applied: unknown) =>
  gateway.request(bucketSubject('gateway', appliedKey(integration)), JSON.stringify(applied), { timeout: 60_000 });

export const accountOf = (world: OperatorWorld, tenant: string): Promise<AccountKeys> =>
  until(`keys of ${tenant}`, async () => {
    const stored = await world.get('secret', `tenant-keys-${tenant}`, operatorNamespace);
    return stored && readAccountKeys(stored);
  });
