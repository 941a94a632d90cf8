import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isTrue, statusConditions } from '../../../operator/plan/conditions.ts';
import type { KubeObject } from '../../../operator/reconcile/ports.ts';
import { connection, filter, http, httpSink, integration, secretKeyRef, tenant } from '../../build.ts';
import { type OperatorProcess, type OperatorWorld, startOperatorWorld, until } from './operator-world.ts';
import { type Counts, growth, managedOnly, reconcilesOf, sentBy, servedBy, total } from './request-counts.ts';

/*
 * What many Integrations cost the API server: a few requests each when they come, and none at all while nothing changes. Counted, not
 * timed; `npm run bench -- operator` does the same with a thousand.
 */
const namespaces = ['acme', 'globex'];
const each = 12;
const count = namespaces.length * each;
const patienceMs = 240_000;

let world: OperatorWorld;
let operator: OperatorProcess;

const orders = (namespace: string, index: number) =>
  integration(
    {
      sources: [http({ path: '/orders', auth: { bearer: secretKeyRef('shop', 'token') } })],
      steps: [filter('body.total > 10.0')],
      sinks: [httpSink()],
    },
    { name: `orders-${index}`, namespace },
  );
const all = () => namespaces.flatMap((namespace) => Array.from({ length: each }, (_, i) => orders(namespace, i)));
const list = (items: readonly unknown[]) => ({ apiVersion: 'v1', kind: 'List', items });
const stored = async (): Promise<KubeObject[]> =>
  (await Promise.all(namespaces.map((namespace) => world.list('integrations.kanava.dev', namespace)))).flat();

/** Everything is made; the gateway, which nobody starts here, has not answered. */
const isInPlace = ({ metadata, status }: KubeObject): boolean => {
  const conditions = statusConditions(status);
  const ready = conditions.find(({ type }) => type === 'Ready');
  return (
    (status as { observedGeneration?: number } | undefined)?.observedGeneration === metadata.generation &&
    isTrue(conditions, 'MessagingReady') &&
    (ready?.message ?? '').includes('taken up revision')
  );
};
const converged = () =>
  until('all Integrations are in place', async () => (await stored()).every(isInPlace), patienceMs);
/** Resolves when every Integration was looked at again twice. */
const lookedAt = async () => {
  const looks = async () => (await reconcilesOf(operator)).get('integration') ?? 0;
  const before = await looks();
  await until('every Integration was looked at', async () => (await looks()) >= before + 2 * count, patienceMs);
};
const requests = (before: Counts, after: Counts): Map<string, number> => {
  const sent = growth(before, after);
  sent.delete('PUT');
  return sent;
};

const ready = (kind: string, name: string, namespace?: string) =>
  until(
    `${kind} ${name} is ready`,
    async () => (await world.condition(kind, name, 'Ready', namespace))?.status === 'True',
    patienceMs,
  );

beforeAll(async () => {
  world = await startOperatorWorld();
  operator = await world.startOperator();
  await world.apply(...namespaces.map((name) => tenant({ namespace: { name } }, { name })));
  for (const name of namespaces) await ready('tenants.kanava.dev', name);
  const secret = (namespace: string, name: string) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace },
    stringData: { token: 'text' },
  });
  const erp = { http: { url: 'https://erp.example.com', auth: { bearer: secretKeyRef('erp', 'token') } } };
  const surroundings = namespaces.flatMap((namespace) => [
    secret(namespace, 'shop'),
    secret(namespace, 'erp'),
    connection(erp, { namespace }),
  ]);
  await world.apply(list(surroundings));
  for (const name of namespaces) await ready('connections.kanava.dev', 'erp', name);
}, 600_000);
afterAll(async () => {
  await world?.stop();
});

describe('requests to the API server', () => {
  it('are at most 12 for an Integration until it is in place, those for its Tenant included', {
    timeout: 300_000,
  }, async () => {
    const before = await sentBy(operator);
    await world.apply(list(all()));
    await converged();
    const sent = requests(before, await sentBy(operator));
    expect(total(sent) / count, JSON.stringify([...sent])).toBeLessThanOrEqual(12);
    // All that was made was counted: six objects, a number of pods, a finalizer and a status.
    expect(total(sent) / count).toBeGreaterThanOrEqual(9);
  });

  it('are none while nothing changes, and none when the same is applied again', { timeout: 600_000 }, async () => {
    await lookedAt();
    const before = await sentBy(operator);
    await world.apply(list(all()));
    await lookedAt();
    expect([...requests(before, await sentBy(operator))]).toEqual([]);
  });

  it('are counted when there is something to write: a child that was changed by hand', {
    timeout: 300_000,
  }, async () => {
    const before = await sentBy(operator);
    await world.kubectl(['label', 'serviceaccount', 'worker-orders-0', '-n', 'acme', 'kanava.dev/integration-']);
    await until(
      'the label is back',
      async () => {
        const found = await world.get('serviceaccount', 'worker-orders-0', 'acme');
        return found?.metadata.labels?.['kanava.dev/integration'] === 'orders-0';
      },
      patienceMs,
    );
    expect([...requests(before, await sentBy(operator))]).toEqual([['PATCH', 1]]);
  });

  it('are lists and watches only for an operator that finds all in place', { timeout: 600_000 }, async () => {
    await operator.stop();
    const before = await servedBy(world.api);
    operator = await world.startOperator();
    await until(
      'it looks at Integrations',
      async () => {
        const looks = await reconcilesOf(operator).catch(() => new Map<string, number>());
        return (looks.get('integration') ?? 0) >= count;
      },
      patienceMs,
    );
    await lookedAt();
    expect([...managedOnly(growth(before, await servedBy(world.api)))]).toEqual([]);
  });
});
