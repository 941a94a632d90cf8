import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Change } from '../../../operator/control/store.ts';
import type { Fault } from './fault-proxy.ts';
import { configMapsOf, type KubeWorld, newNamespace, observe, startKubeWorld, until } from './kube-world.ts';

/*
 * Random writes while random faults meet the list-watch: in the end its cache is what the server has, and what it told on the way was a
 * possible history: every object is added before it is updated or deleted, each uid goes before the next one of its name comes, and no
 * version goes back.
 */
let world: KubeWorld;
beforeAll(async () => {
  world = await startKubeWorld();
});
afterAll(() => world?.stop());

const runs = Number(process.env['KANAVA_RUNS'] ?? '25');
const name = fc.constantFrom('a', 'b', 'c');
type Step =
  | { readonly do: 'put' | 'remove' | 'recreate'; readonly name: string }
  | { readonly do: 'cut' | 'freeze' | 'half-open' | 'reset' }
  | {
      readonly do: 'fault';
      readonly times: number;
      readonly fault: Exclude<Fault, { do: 'delay' }>['do'];
      readonly status: number;
    };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('put', 'remove', 'recreate'), name }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('cut', 'freeze', 'half-open', 'reset') }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('fault'),
      times: fc.integer({ min: 1, max: 4 }),
      fault: fc.constantFrom('answer', 'reset', 'swallow', 'lines', 'truncate', 'lose-answer'),
      status: fc.constantFrom(410, 429, 500, 503, 504),
    }),
  },
);

const problems = (changes: readonly Change[]): string[] => {
  const present = new Map<string, { uid: string; version: number }>();
  return changes.flatMap(({ type, object }, index) => {
    const { name, uid = '', resourceVersion } = object.metadata;
    const known = present.get(name);
    const version = Number(resourceVersion);
    const at = `change ${index}: ${type} ${name} ${uid} ${version}`;
    if (type === 'deleted') {
      present.delete(name);
      return known?.uid === uid ? [] : [`${at}: not there with this uid`];
    }
    present.set(name, { uid, version });
    if (type === 'added') return known ? [`${at}: ${known.uid} was not deleted`] : [];
    if (known?.uid !== uid) return [`${at}: not there with this uid`];
    return version > known.version ? [] : [`${at}: not newer than ${known.version}`];
  });
};

test('the history check bites', () => {
  const object = (uid: string, resourceVersion: string) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'a', uid, resourceVersion },
  });
  const added: Change = { type: 'added', object: object('1', '1') };
  expect(problems([added, { type: 'updated', object: object('2', '2') }])).toHaveLength(1);
  expect(problems([added, { type: 'added', object: object('2', '2') }])).toHaveLength(1);
  expect(problems([added, { type: 'deleted', object: object('2', '2') }])).toHaveLength(1);
  expect(problems([added, { type: 'updated', object: object('1', '1') }])).toHaveLength(1);
});

const play = async (steps: readonly Step[]): Promise<void> => {
  const namespace = await newNamespace(world);
  const objects = configMapsOf(world, namespace);
  await objects.put('a');
  const observed = observe(world, { namespace }, { timings: { silenceMs: 400, pageSize: 2, backoffMs: [5, 50] } });
  const exists = new Set(['a']);
  const remove = async (which: string) => {
    if (exists.delete(which)) await objects.remove(which);
  };
  try {
    for (const [index, it] of steps.entries()) {
      if ('name' in it && it.do !== 'remove') {
        if (it.do === 'recreate') await remove(it.name);
        exists.add(it.name);
        await objects.put(it.name, { n: String(index) });
      } else if ('name' in it) await remove(it.name);
      else if (it.do === 'cut') world.proxy.cutWatches();
      else if (it.do === 'freeze') world.proxy.freezeWatches();
      else if (it.do === 'half-open') world.proxy.freezeConnections();
      else if (it.do === 'reset') world.proxy.resetConnections();
      else if (it.do === 'fault') {
        let left = it.times;
        const old: string[] = [];
        const faults: Record<typeof it.fault, Fault> = {
          answer: { do: 'answer', status: it.status, headers: { 'retry-after': '0' } },
          reset: { do: 'reset' },
          swallow: { do: 'swallow' },
          'lose-answer': { do: 'lose-answer' },
          truncate: { do: 'truncate', bytes: 300 },
          lines: { do: 'lines', of: (line) => [line, ...old.slice(-3), (old.push(line), line)] },
        };
        world.proxy.fault((request) => (request.path.includes(namespace) && left-- > 0 ? faults[it.fault] : undefined));
        if (it.fault !== 'swallow') world.proxy.cutWatches();
      }
    }
    world.proxy.fault(undefined);
    await until('the cache is what the server has', async () => {
      const [cache, server] = [observed.versions(), await objects.versions()];
      return observed.watch.hasSynced() && JSON.stringify(cache) === JSON.stringify(server);
    });
    expect(problems(observed.changes)).toEqual([]);
  } finally {
    world.proxy.fault(undefined);
    await observed.watch.close();
  }
};

test(`${runs} random histories`, async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25, size: 'max' }), play), {
    numRuns: runs,
    // A failing history is short enough; shrinking it on a real server takes longer than a test may.
    endOnFailure: true,
  });
}, 600_000);
