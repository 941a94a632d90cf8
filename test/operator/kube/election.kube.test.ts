import { type ChildProcess, spawn } from 'node:child_process';
import { Registry } from 'prom-client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Election, type ElectionOptions, startElection } from '../../../operator/control/election.ts';
import { controlMetrics } from '../../../operator/control/metrics.ts';
import { kubeLeases } from '../../../operator/kube/leases.ts';
import type { KubeObject } from '../../../operator/reconcile/ports.ts';
import { stopProcess } from '../../cluster/signals.ts';
import { type KubeWorld, newNamespace, quiet, startKubeWorld, until } from './kube-world.ts';

let world: KubeWorld;
let namespace: string;
const elections: Election[] = [];
const processes: ChildProcess[] = [];
const timings = { leaseMs: 3000, renewDeadlineMs: 2000, retryMs: 200 };

/** A candidate that reaches the server through the proxy, or past it. */
const candidate = (identity: string, way: 'proxy' | 'direct', options: Partial<ElectionOptions> = {}) => {
  const said: string[] = [];
  const election = startElection({
    name: 'contest',
    leases: kubeLeases(way === 'proxy' ? world.transport : world.direct, namespace, 'contest'),
    identity,
    onElected: () => void said.push('elected'),
    onLost: () => void said.push('lost'),
    metrics: controlMetrics(new Registry()),
    log: quiet,
    timings,
    ...options,
  });
  elections.push(election);
  return { ...election, said };
};
const lease = async () => {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/contest`;
  return ((await world.direct.request({ method: 'GET', path })) as { spec: Record<string, unknown> }).spec;
};
const blockLeases = () =>
  world.proxy.fault((request) => (request.path.includes('/leases') ? { do: 'swallow' } : undefined));

beforeAll(async () => {
  world = await startKubeWorld();
});
afterAll(() => world?.stop());
beforeEach(async () => {
  namespace = await newNamespace(world);
});
afterEach(async () => {
  world.proxy.fault(undefined);
  for (const child of processes.splice(0)) child.kill('SIGKILL');
  await Promise.all(elections.splice(0).map((election) => election.stop()));
});

test('one of ten leads, renews, and writes what kubectl shows', async () => {
  const all = Array.from({ length: 10 }, (_, i) => candidate(`pod-${i}`, 'direct'));
  await until('one leads', () => all.some(({ isLeader }) => isLeader()));
  const first = await lease();
  await until('it renews', async () => (await lease())['renewTime'] !== first['renewTime']);
  expect(all.filter(({ isLeader }) => isLeader())).toHaveLength(1);
  expect(all.flatMap(({ said }) => said)).toEqual(['elected']);
  expect(await lease()).toMatchObject({
    holderIdentity: `pod-${all.findIndex(({ isLeader }) => isLeader())}`,
    leaseDurationSeconds: 3,
    leaseTransitions: 0,
    acquireTime: first['acquireTime'],
  });
});

test('stop gives the lease back: the next leader need not wait for it to run out', async () => {
  const a = candidate('a', 'direct', { timings: { ...timings, leaseMs: 600_000 } });
  await until('a leads', a.isLeader);
  const b = candidate('b', 'direct');
  const stopping = a.stop();
  expect(a.isLeader()).toBe(false);
  await stopping;
  await until('b leads', b.isLeader);
  expect(a.said).toEqual(['elected']);
  expect(await lease()).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
});

describe('the way of the leader to the server is blocked', () => {
  test('it stops leading before another begins, and says so', async () => {
    const a = candidate('a', 'proxy');
    await until('a leads', a.isLeader);
    let wasStillLeading: boolean | undefined;
    const b = candidate('b', 'direct', { onElected: () => void (wasStillLeading = a.isLeader()) });
    blockLeases();
    await until('b leads', b.isLeader);
    expect(wasStillLeading).toBe(false);
    await until('a says that it lost', () => a.said.includes('lost'));
    world.proxy.fault(undefined);
    expect(a.isLeader()).toBe(false);
  });

  test('control: without a renew deadline within the lease, two lead', async () => {
    const a = candidate('a', 'proxy', { timings: { ...timings, renewDeadlineMs: 60_000 } });
    await until('a leads', a.isLeader);
    let wasStillLeading: boolean | undefined;
    const b = candidate('b', 'direct', { onElected: () => void (wasStillLeading = a.isLeader()) });
    blockLeases();
    await until('b leads', b.isLeader);
    expect(wasStillLeading).toBe(true);
    world.proxy.fault(undefined);
  });

  test('a short interruption changes nothing', async () => {
    const a = candidate('a', 'proxy');
    await until('a leads', a.isLeader);
    let left = 3;
    world.proxy.fault((request) =>
      request.path.includes('/leases') && left-- > 0 ? { do: 'answer', status: 503 } : undefined,
    );
    await until('three renewals failed', () => left < 0);
    const { renewTime } = await lease();
    await until('it renews', async () => (await lease())['renewTime'] !== renewTime);
    expect(a.said).toEqual(['elected']);
  });
});

test('a renewal whose answer was lost is not a loss', async () => {
  const a = candidate('a', 'proxy');
  await until('a leads', a.isLeader);
  let left = 2;
  world.proxy.fault((request) =>
    request.method === 'PUT' && request.path.includes('/leases') && left-- > 0 ? { do: 'lose-answer' } : undefined,
  );
  await until('answers were lost and a renewal succeeded', () => left < -1);
  expect(a.said).toEqual(['elected']);
});

test('the age counts from the clock, not from timers: right after a stall isLeader() is false', async () => {
  let offset = 0;
  const a = candidate('a', 'direct', { now: () => performance.now() + offset });
  await until('a leads', a.isLeader);
  offset = timings.renewDeadlineMs;
  expect(a.isLeader()).toBe(false);
  await until('it says so', () => a.said.includes('lost'));
});

test("times of other machines do not matter: a lease 'renewed' in the past is respected, one in the future runs out", async () => {
  for (const renewTime of ['2001-01-01T00:00:00.000000Z', '2099-01-01T00:00:00.000000Z']) {
    const held = { holder: 'x', durationSeconds: 2, acquireTime: renewTime, renewTime, transitions: 0 };
    const leases = kubeLeases(world.direct, namespace, 'contest');
    const signal = AbortSignal.timeout(5000);
    const known = await leases.read(signal);
    if (known) await leases.update(held, known.resourceVersion, signal);
    else await leases.create(held, signal);
    const begun = performance.now();
    const a = candidate('a', 'direct');
    await until('a leads', a.isLeader);
    expect(performance.now() - begun).toBeGreaterThan(1900);
    await a.stop();
  }
});

describe('the leading process is stopped (SIGSTOP) until another leads, and goes on', () => {
  const contend = (name: string, renewDeadlineMs: number, retryMs = 300): ChildProcess => {
    const script = new URL('contender.ts', import.meta.url).pathname;
    const args = [script, world.api.kubeconfig, namespace, name, String(renewDeadlineMs), String(retryMs)];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    processes.push(child);
    return child;
  };
  /** Writers in the order of their writes. */
  const writers = async (): Promise<string[]> => {
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const { items } = (await world.direct.request({ method: 'GET', path })) as { items: KubeObject[] };
    return items
      .toSorted((x, y) => Number(x.metadata.resourceVersion) - Number(y.metadata.resourceVersion))
      .map(({ metadata }) => metadata.name.slice(0, 1));
  };
  const count = async (name: string) => (await writers()).filter((writer) => writer === name).length;

  const scenario = async (...timings: [renewDeadlineMs: number, retryMs?: number]): Promise<string[]> => {
    const a = contend('a', ...timings);
    await until('a writes', async () => (await count('a')) > 3);
    contend('b', 2000);
    await stopProcess(a.pid as number);
    await until('b writes', async () => (await count('b')) > 3);
    a.kill('SIGCONT');
    const before = await count('b');
    await until('b has written for long', async () => (await count('b')) > before + 60);
    const order = await writers();
    return order.slice(order.indexOf('b'));
  };
  test('the old leader writes nothing more', async () => {
    // But for one that it was just sending: only the server could refuse that.
    expect((await scenario(2000)).filter((writer) => writer === 'a').length).toBeLessThanOrEqual(1);
  });
  test('control: with no limit to the age of a renewal it does', async () => {
    // It does not renew either, by which it would soon learn that it is not the leader.
    expect((await scenario(600_000, 600_000)).filter((writer) => writer === 'a').length).toBeGreaterThan(1);
  });
});
