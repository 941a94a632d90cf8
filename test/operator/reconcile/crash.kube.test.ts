import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canonicalJson } from '../../../operator/plan/canonical.ts';
import type { Context } from '../../../operator/reconcile/context.ts';
import { reconcileIntegration } from '../../../operator/reconcile/integration.ts';
import type { Broker, Cluster, KubeObject, TenantBroker } from '../../../operator/reconcile/ports.ts';
import { reconcileTenant } from '../../../operator/reconcile/tenant.ts';
import { type InProcess, startInProcess } from './in-process.ts';

/*
 * Whatever write is the last one of an operator, the next operator ends where one that never crashed would have. The reconcilers run
 * here against real servers and die after their i-th write, for every i; what they knew is gone with them.
 */
class Crash extends Error {}

let world: InProcess;
beforeAll(async () => {
  world = await startInProcess();
});
afterAll(async () => {
  await world?.stop();
});

/** Counts writes, and after the `last` one nothing happens any more. */
const counting = (last: number) => {
  const { kube, nats } = world;
  let writes = 0;
  const applied: string[] = [];
  const counted =
    <A extends unknown[], R>(write: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      if (writes >= last) throw new Crash();
      const result = await write(...args);
      writes += 1;
      if (writes >= last) throw new Crash();
      return result;
    };
  const cluster: Cluster = {
    ...kube.cluster,
    event: () => {},
    apply: counted((object, options) => {
      applied.push(`${object.kind} ${object.metadata.name} ${options.subresource ?? ''}`);
      return kube.cluster.apply(object, options);
    }),
    delete: counted((kind, name, namespace, options) => kube.cluster.delete(kind, name, namespace, options)),
    setFinalizer: async (object, kind, finalizer, present) =>
      (object.metadata.finalizers ?? []).includes(finalizer) === present
        ? object
        : counted(() => kube.cluster.setFinalizer(object, kind, finalizer, present))(),
  };
  const tenantBroker = (real: TenantBroker): TenantBroker => ({
    ...real,
    ensureStream: counted((spec) => real.ensureStream(spec)),
    deleteConsumer: counted((stream, name) => real.deleteConsumer(stream, name)),
    ensureSchedules: counted((name, schedules) => real.ensureSchedules(name, schedules)),
    putRoutes: counted((routes) => real.putRoutes(routes)),
    deleteRoutes: counted((name) => real.deleteRoutes(name)),
  });
  const broker: Broker = {
    ...nats.broker,
    ensureAccount: counted((...args) => nats.broker.ensureAccount(...args)),
    tenant: (keys) => tenantBroker(nats.broker.tenant(keys)),
  };
  return { cluster, broker, applied };
};
/** Nobody counts for quotas here, and a Tenant waits for that for seconds: they are over. */
const contextOf = (ports: { cluster: Cluster; broker: Broker }): Context =>
  world.contextOf({ ...ports, now: () => Date.now() + 10_000 });

/** What the controllers would do when woken, until nothing changes any more. */
const drive = async (context: Context, name: string): Promise<void> => {
  let before = '';
  for (let round = 0; round < 20; round += 1) {
    await reconcileTenant(context)(name);
    await reconcileIntegration(context)(`${name}/orders`);
    await context.scaler.reconcile(`${name}/orders`);
    const now = canonicalJson(await snapshot(name));
    if (now === before) return;
    before = now;
  }
  throw new Error(`no rest after 20 rounds: ${before.slice(0, 500)}`);
};

const kinds = [
  'api/v1/configmaps',
  'api/v1/secrets',
  'api/v1/services',
  'api/v1/serviceaccounts',
  'api/v1/resourcequotas',
  'api/v1/limitranges',
  'apis/apps/v1/deployments',
  'apis/networking.k8s.io/v1/networkpolicies',
  'apis/rbac.authorization.k8s.io/v1/rolebindings',
  'apis/kanava.dev/v1alpha1/integrations',
];
/** Everything of a tenant, without what differs between two tenants that are alike. */
const snapshot = async (name: string): Promise<unknown> => {
  const objects: unknown[] = [];
  for (const kind of kinds) {
    const [, version = '', plural = ''] = /^(.*)\/([a-z]+)$/.exec(kind) ?? [];
    const { items } = (await world.transport.request({
      method: 'GET',
      path: `/${version}/namespaces/${name}/${plural}`,
    })) as { items: KubeObject[] };
    objects.push(...items.map((object) => ({ plural, ...essence(object, plural) })));
  }
  const stored = (await world.transport.request({
    method: 'GET',
    path: `/apis/kanava.dev/v1alpha1/tenants/${name}`,
  })) as KubeObject;
  const text = canonicalJson([objects, essence(stored, 'tenants')]);
  return JSON.parse(
    text
      .replaceAll(name, 'TENANT')
      .replaceAll(/10\.96(\.[0-9]+){2}/g, 'IP')
      .replaceAll(/flow-orders-[0-9a-f]{12}/g, 'FLOW')
      .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'UID'),
  );
};
const varying =
  /"(lastTransitionTime|lastMessageTime|kanava.dev\/(applied|expires-at|account)|id|hash|flow.json)":"(?:[^"\\]|\\.)*"/g;
const essence = ({ metadata, ...rest }: KubeObject, plural: string): Record<string, unknown> => {
  const { labels, annotations, finalizers, ownerReferences } = metadata;
  const content = plural === 'secrets' ? { keys: Object.keys((rest as { data?: object }).data ?? {}) } : rest;
  const owners = (metadata.managedFields ?? []).map(({ manager = '' }) => manager).toSorted((a, b) => (a < b ? -1 : 1));
  const text = canonicalJson({
    name: metadata.name,
    labels,
    annotations,
    finalizers,
    ownerReferences,
    owners,
    content,
  });
  return JSON.parse(text.replaceAll(varying, '"$1":"VARIES"')) as Record<string, unknown>;
};

describe('a crash after any write', () => {
  it('changes nothing about where it ends', { timeout: 600_000 }, async () => {
    await world.create('whole');
    const unharmed = counting(Number.POSITIVE_INFINITY);
    await drive(contextOf(unharmed), 'whole');
    const expected = await snapshot('whole');
    expect(canonicalJson(expected)).toContain('worker-orders');
    // At rest nothing is written, however often somebody looks.
    const idle = counting(Number.POSITIVE_INFINITY);
    await drive(contextOf(idle), 'whole');
    expect(idle.applied).toEqual([]);

    let crashes = 0;
    let halfDone = 0;
    for (let last = 1; ; last += 1) {
      const name = `crash-${last}`;
      await world.create(name);
      const died = await drive(contextOf(counting(last)), name).then(
        () => false,
        (error: unknown) => {
          if (error instanceof Crash) return true;
          throw error;
        },
      );
      if (!died) {
        // So many writes there are: this one lived to the end.
        expect(await snapshot(name)).toEqual(expected);
        break;
      }
      crashes += 1;
      if (canonicalJson(await snapshot(name)) !== canonicalJson(expected)) halfDone += 1;
      await drive(contextOf(counting(Number.POSITIVE_INFINITY)), name);
      expect(await snapshot(name), `after a crash after write ${last}`).toEqual(expected);
    }
    expect(crashes).toBeGreaterThan(25);
    // The control: most crashes leave something undone.
    expect(halfDone).toBeGreaterThan(crashes / 2);
  });
});
