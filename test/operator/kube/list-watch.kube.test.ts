import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type OwnKubeApi, startKubeApi } from '../../cluster/kube-api.ts';
import type { Fault, ProxiedRequest } from './fault-proxy.ts';
import {
  configMapsOf,
  type KubeWorld,
  kubeWorld,
  newNamespace,
  type Observed,
  observe,
  total,
  until,
} from './kube-world.ts';

/*
 * The defects of @kubernetes/client-node's informer (2.0.1; found with a scripted server), each as a test that ours does not have it. Their
 * numbers are in the titles. 1 (a connection a call) and 15 (memory, blocking) are in transport.kube.test.ts and below.
 */
let world: KubeWorld<OwnKubeApi>;
let namespace: string;
let objects: ReturnType<typeof configMapsOf>;
const running: Observed[] = [];

const start = (options: Parameters<typeof observe>[2] = {}): Observed => {
  const observed = observe(world, { namespace }, options);
  running.push(observed);
  return observed;
};
const agree = (observed: Observed) =>
  until('the cache is what the server has', async () => {
    const [cache, server] = [observed.versions(), await objects.versions()];
    return JSON.stringify(cache) === JSON.stringify(server);
  });
/** Applies the fault to the first `times` requests that match. */
const inject = (times: number, matches: (request: ProxiedRequest) => boolean, fault: Fault) => {
  let left = times;
  world.proxy.fault((request) => {
    if (!request.path.includes(`/${namespace}/`) || !matches(request) || left === 0) return undefined;
    left -= 1;
    return fault;
  });
  return () => left;
};
const isWatch = (request: ProxiedRequest) => request.isWatch;
const isList = (request: ProxiedRequest) => !request.isWatch;
const mine = () => world.proxy.requests.filter((request) => request.path.includes(`/${namespace}/`));
const watchIsOpen = () => until('a watch is open', () => world.proxy.openWatches() > 0);

beforeAll(async () => {
  world = await kubeWorld(await startKubeApi());
});
afterAll(() => world?.stop());
beforeEach(async () => {
  namespace = await newNamespace(world);
  objects = configMapsOf(world, namespace);
});
afterEach(async () => {
  world.proxy.fault(undefined);
  await Promise.all(running.splice(0).map(({ watch }) => watch.close()));
  await until('no watch of the last test is left', () => world.proxy.openWatches() === 0);
});

describe('goes on for ever', () => {
  const faults: [why: string, on: (request: ProxiedRequest) => boolean, fault: Fault][] = [
    ['2: a watch that answers 500', isWatch, { do: 'answer', status: 500 }],
    ['2: a list that answers 503', isList, { do: 'answer', status: 503 }],
    ['2: a connection reset on list', isList, { do: 'reset' }],
    ['2: a connection reset on watch', isWatch, { do: 'reset' }],
    ['429 on watch', isWatch, { do: 'answer', status: 429, headers: { 'retry-after': '0' } }],
    ['410 on watch', isWatch, { do: 'answer', status: 410 }],
    ['403 (a role that comes late)', isList, { do: 'answer', status: 403 }],
    ['a list that is no JSON', isList, { do: 'answer', status: 200, body: '{"items":[' }],
    ['a list that is no list', isList, { do: 'answer', status: 200, body: {} }],
  ];
  test.each(faults)('%s', async (_why, on, fault) => {
    await objects.put('before');
    const left = inject(6, on, fault);
    const observed = start();
    await observed.watch.synced;
    await until('all faults were seen', () => left() === 0);
    await objects.put('after');
    await agree(observed);
  });

  test.each(['SIGKILL', 'SIGTERM'] as const)('the API server gets %s and comes back', async (signal) => {
    await objects.put('before');
    // Past the proxy: a server that ends in order tells so on the connection (GOAWAY).
    const observed = observe({ ...world, transport: world.direct }, { namespace });
    running.push(observed);
    await observed.watch.synced;
    await world.api.apiserver.stop(signal);
    await world.api.apiserver.start();
    await objects.put('after');
    await agree(observed);
  });

  test('a connection goes half-open: silence ends it; with the watchdog off the watch is dead', async () => {
    const alive = start({ timings: { silenceMs: 1000 } });
    const control = start();
    await Promise.all([alive.watch.synced, control.watch.synced]);
    await until('both watch', () => world.proxy.openWatches() === 2);
    world.proxy.freezeWatches();
    await objects.put('unheard');
    await agree(alive);
    expect(control.versions()).toEqual([]);
  });

  test('the TCP connection of all watches goes half-open: pings find out, without the watchdog', async () => {
    const observed = start();
    await observed.watch.synced;
    await watchIsOpen();
    const before = world.proxy.connections();
    world.proxy.freezeConnections();
    await objects.put('unheard');
    await agree(observed);
    expect(world.proxy.connections()).toBeGreaterThan(before);
  });
});

describe('ends when it is closed', () => {
  test('3: nothing comes after close, no error, no new watch', async () => {
    const observed = start();
    await observed.watch.synced;
    await watchIsOpen();
    await observed.watch.close();
    const [requests, changes] = [mine().length, observed.changes.length];
    await objects.put('late');
    await until('the watch is gone', () => world.proxy.openWatches() === 0);
    expect([mine().length, observed.changes.length]).toEqual([requests, changes]);
    expect(await total(observed.metrics.interruptions)).toBe(0);
  });

  test('4: closed during the first list, no watch is opened', async () => {
    inject(1, isList, { do: 'delay', ms: 300 });
    const observed = start();
    await until('the list is asked for', () => mine().length > 0);
    await observed.watch.close();
    await expect(observed.watch.synced).rejects.toThrow('closed');
    expect(mine().filter(isWatch)).toEqual([]);
    expect(observed.watch.hasSynced()).toBe(false);
  });

  test('2: synced is honest, it waits for a list that succeeds', async () => {
    const left = inject(8, isList, { do: 'answer', status: 500 });
    const observed = start();
    await until('some lists failed', () => left() < 5);
    expect(observed.watch.hasSynced()).toBe(false);
    await observed.watch.synced;
    expect(observed.watch.hasSynced()).toBe(true);
  });
});

describe('tells the truth', () => {
  test('6: a handler that throws is called again, and harms nobody', async () => {
    let thrown = 0;
    const heard: string[] = [];
    const observed = start({
      onChange: ({ object }) => {
        if (object.metadata.name === 'a' && thrown++ < 3) throw new Error('handler');
        heard.push(object.metadata.name);
      },
    });
    await objects.put('a');
    await objects.put('b');
    await until('both were heard', () => heard.includes('a') && heard.includes('b'));
    expect(await total(observed.metrics.handlerErrors)).toBe(3);
  });

  test('7: a malformed line loses no event', async () => {
    const observed = start();
    await observed.watch.synced;
    await watchIsOpen();
    let spoilt = 0;
    world.proxy.fault((request) =>
      request.isWatch && request.path.includes(namespace)
        ? { do: 'lines', of: (line) => [spoilt++ < 2 ? line.slice(0, 40) : line] }
        : undefined,
    );
    world.proxy.cutWatches();
    await objects.put('spoilt');
    await objects.put('next');
    await agree(observed);
    expect(spoilt).toBeGreaterThan(2);
  });

  test('7: a line cut by the end of the connection loses no event', async () => {
    let times = 3;
    world.proxy.fault((request) =>
      request.isWatch && request.path.includes(namespace) && times-- > 0 ? { do: 'truncate', bytes: 90 } : undefined,
    );
    const observed = start();
    await observed.watch.synced;
    await objects.put('long', { text: 'x'.repeat(1000) });
    await agree(observed);
  });

  test('a line over the cap ends the watch, and a list brings the object', async () => {
    const observed = start({ timings: { maxLineBytes: 2000 } });
    await observed.watch.synced;
    await watchIsOpen();
    await objects.put('huge', { text: 'x'.repeat(5000) });
    await agree(observed);
    expect(await total(observed.metrics.interruptions)).toBeGreaterThan(0);
  });

  test.each(['while connected', 'while disconnected'])(
    '8: deleted and made again %s: both uids are told',
    async (when) => {
      const first = await objects.put('phoenix');
      const observed = start();
      await observed.watch.synced;
      await watchIsOpen();
      if (when === 'while disconnected') {
        inject(1000, () => true, { do: 'answer', status: 503 });
        world.proxy.cutWatches();
      }
      await objects.remove('phoenix');
      const second = await objects.put('phoenix');
      world.proxy.fault(undefined);
      await agree(observed);
      expect(observed.log()).toEqual([
        `added phoenix ${first.metadata.uid}`,
        `deleted phoenix ${first.metadata.uid}`,
        `added phoenix ${second.metadata.uid}`,
      ]);
    },
  );

  test('9: old and doubled events change nothing', async () => {
    const old: string[] = [];
    world.proxy.fault((request) =>
      request.isWatch && request.path.includes(namespace)
        ? {
            do: 'lines',
            of: (line) => {
              old.push(line);
              return [line, line, ...old];
            },
          }
        : undefined,
    );
    const observed = start();
    await observed.watch.synced;
    await watchIsOpen();
    await objects.put('a', { n: '1' });
    await objects.put('a', { n: '2' });
    await objects.put('b');
    await objects.remove('b');
    await objects.put('c');
    await until('the last one is there', () => observed.watch.get('c', namespace));
    await agree(observed);
    expect(observed.changes.map(({ type, object }) => `${type} ${object.metadata.name}`)).toEqual([
      'added a',
      'updated a',
      'added b',
      'deleted b',
      'added c',
    ]);
    expect(await total(observed.metrics.staleEvents)).toBeGreaterThan(5);
  });

  test('9: a list of a server that lags is not believed; one that lags for long is a restored backup', async () => {
    await objects.put('a', { n: '1' });
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const body = await world.direct.request({ method: 'GET', path });
    const latest = await objects.put('a', { n: '2' });
    const observed = start({ timings: { restoredMs: 1500 } });
    await observed.watch.synced;
    await watchIsOpen();
    const left = inject(1000, () => true, { do: 'answer', status: 410 });
    world.proxy.cutWatches();
    await until('the watch was refused', () => left() < 1000);
    const lagging = inject(1000, isList, { do: 'answer', status: 200, body });
    await until('several old lists came', () => lagging() < 997);
    expect(observed.watch.get('a', namespace)?.metadata.resourceVersion).toBe(latest.metadata.resourceVersion);
    await until('it is believed', () => JSON.stringify(observed.watch.get('a', namespace)?.['data']) === '{"n":"1"}');
  });

  test('10: an ERROR event that is no 410 is an error like any other', async () => {
    const observed = start();
    await observed.watch.synced;
    await watchIsOpen();
    const error = { type: 'ERROR', object: { kind: 'Status', code: 500, reason: 'InternalError', message: 'no' } };
    let times = 2;
    world.proxy.fault((request) =>
      request.isWatch && request.path.includes(namespace) && times-- > 0
        ? { do: 'answer', status: 200, body: `${JSON.stringify(error)}\n` }
        : undefined,
    );
    world.proxy.cutWatches();
    await objects.put('after');
    await agree(observed);
    expect(await total(observed.metrics.interruptions)).toBeGreaterThanOrEqual(3);
  });

  test('10: a 410 as an event makes a list, which shows what was missed', async () => {
    const observed = start();
    await observed.watch.synced;
    await watchIsOpen();
    const gone = { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' } };
    inject(1, isWatch, { do: 'answer', status: 200, body: `${JSON.stringify(gone)}\n` });
    world.proxy.cutWatches();
    await objects.put('missed');
    await agree(observed);
    expect(await total(observed.metrics.relists)).toBe(2);
    expect(await total(observed.metrics.cacheMisses)).toBe(0);
  });

  test('a change that the watch skipped is found by the relist and counted', async () => {
    await objects.put('a', { n: '1' });
    const observed = start({ timings: { relistMs: 0 } });
    await observed.watch.synced;
    await watchIsOpen();
    world.proxy.fault((request) =>
      request.isWatch && request.path.includes(namespace)
        ? { do: 'lines', of: (line) => (line.includes('"skipped"') ? [] : [line]) }
        : undefined,
    );
    world.proxy.cutWatches();
    await until('the deaf watch is open', () => mine().filter(isWatch).length >= 2 && world.proxy.openWatches() > 0);
    await objects.put('skipped');
    await objects.put('told');
    await until('the next one came', () => observed.watch.get('told', namespace));
    world.proxy.cutWatches();
    await agree(observed);
    expect(await total(observed.metrics.cacheMisses)).toBe(1);
  });
});

test('a refusal is an answer: the cache grows old, the watch is not silent', async () => {
  inject(1000, () => true, { do: 'answer', status: 403 });
  const observed = start({ timings: { backoffMs: [20, 20] } });
  await until('the cache is older than the last answer', () => {
    const { staleSeconds, silentSeconds } = observed.watch;
    return staleSeconds() > 0.5 && silentSeconds() < 0.2;
  });
});

describe('spares the server', () => {
  const inThreeSeconds = async (fault: Fault) => {
    inject(1000, isWatch, fault);
    const observed = start({ timings: { backoffMs: [400, 30_000] } });
    await observed.watch.synced;
    const first = performance.now();
    await until('three seconds passed', () => performance.now() - first > 3000);
    return { lists: mine().filter(isList).length, watches: mine().filter(isWatch).length };
  };
  test('11: watches that end at once are opened ever more slowly', async () => {
    const { lists, watches } = await inThreeSeconds({ do: 'answer', status: 200, body: '' });
    expect(watches).toBeLessThan(8);
    expect(lists).toBe(1);
  });
  test('12: 410 for ever is a few lists', async () => {
    const { lists } = await inThreeSeconds({ do: 'answer', status: 410 });
    expect(lists).toBeLessThan(8);
  });
  test('13: a watch asks for bookmarks and for an end, and goes on from the last bookmark', async () => {
    const observed = start({ timings: { watchSeconds: [1, 1] } });
    await observed.watch.synced;
    await objects.put('a');
    await until('three watches were opened', () => mine().filter(isWatch).length >= 3, 90_000);
    const [first, , third] = mine().filter(isWatch);
    expect(first?.query.get('allowWatchBookmarks')).toBe('true');
    expect(first?.query.get('timeoutSeconds')).toBe('1');
    expect(Number(third?.query.get('resourceVersion'))).toBeGreaterThan(Number(first?.query.get('resourceVersion')));
    expect(mine().filter(isList)).toHaveLength(1);
  });
  test('15: lists come in pages; objects are frozen and without managedFields', async () => {
    for (let i = 0; i < 7; i++) await objects.put(`c${i}`);
    const observed = start({ timings: { pageSize: 3 } });
    const kept = start({ trim: (object) => object });
    await Promise.all([observed.watch.synced, kept.watch.synced]);
    expect(observed.watch.size()).toBe(7);
    expect(mine().filter((request) => request.query.has('continue'))).toHaveLength(2);
    const object = observed.watch.get('c0', namespace);
    expect(object?.metadata.managedFields).toBeUndefined();
    expect(() => Object.assign(object?.metadata ?? {}, { name: 'other' })).toThrow(TypeError);
    expect(object).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap' });
    expect(kept.watch.get('c0', namespace)?.metadata.managedFields).toHaveLength(1);
  });
  test('15: a page whose token was compacted away: the whole list in one piece', async () => {
    for (let i = 0; i < 5; i++) await objects.put(`c${i}`);
    inject(1, (request) => request.query.has('continue'), { do: 'answer', status: 410 });
    const observed = start({ timings: { pageSize: 2 } });
    await observed.watch.synced;
    expect(observed.watch.size()).toBe(5);
  });
});

describe('the answer to an own write', () => {
  test('is in the cache at once, told once, and never brings a deleted object back', async () => {
    inject(1000, isWatch, { do: 'swallow' });
    const observed = start();
    await observed.watch.synced;
    const written = await objects.put('own');
    observed.watch.observe(written);
    expect(observed.watch.get('own', namespace)?.metadata.uid).toBe(written.metadata.uid);
    expect(Object.isFrozen(written)).toBe(false);
    world.proxy.fault(undefined);
    world.proxy.resetConnections();
    await objects.put('own', { n: '2' });
    await objects.remove('own');
    await agree(observed);
    await until('the deletion was told', () => observed.changes.at(-1)?.type === 'deleted');
    observed.watch.observe(written);
    expect(observed.watch.get('own', namespace)).toBeUndefined();
    expect(observed.log().filter((line) => line.startsWith('added'))).toHaveLength(1);
  });

  test('is waited for by the watch, which may be faster', async () => {
    const observed = start({ timings: { answerMs: 120_000 } });
    const unaware = start();
    await Promise.all([observed.watch.synced, unaware.watch.synced]);
    const answered = observed.watch.writing({ name: 'own', namespace });
    const written = await objects.put('own');
    await until('the watch of who does not wait has told', () => unaware.changes.length === 1);
    expect(observed.changes).toEqual([]);
    for (const { watch } of [observed, unaware]) watch.observe(written);
    answered();
    await objects.put('own', { n: '2' });
    await until('what others wrote was told', () => observed.changes.length === 2 && unaware.changes.length === 2);
    expect(observed.changes.map(({ isOwn = false }) => isOwn)).toEqual([true, false]);
    expect(unaware.changes.map(({ isOwn = false }) => isOwn)).toEqual([false, false]);
  });

  test('holds up for a moment only what others write', async () => {
    const observed = start({ timings: { answerMs: 50 } });
    await observed.watch.synced;
    observed.watch.writing({ name: 'own', namespace });
    await objects.put('own');
    await until('what others wrote was told', () => observed.changes.length === 1);
  });

  test('holds up nothing of other objects', async () => {
    const observed = start({ timings: { answerMs: 120_000 } });
    await observed.watch.synced;
    observed.watch.writing({ name: 'own', namespace });
    observed.watch.writing({ name: 'other', namespace: 'elsewhere' });
    await objects.put('other');
    await until('the other was told', () => observed.changes.length === 1);
  });

  test('may be something else than the object, which the watch tells then', async () => {
    const observed = start({ timings: { answerMs: 120_000 } });
    await observed.watch.synced;
    const answered = observed.watch.writing({ name: 'own', namespace });
    const { metadata } = await objects.put('own');
    const told = observed.watch.expect(metadata.resourceVersion ?? '');
    answered();
    await told;
    expect(observed.changes).toHaveLength(1);
    await observed.watch.expect(metadata.resourceVersion ?? '');
    await objects.put('own', { n: '2' });
    await until('both were told', () => observed.changes.length === 2);
    expect(observed.changes.map(({ type, isOwn = false }) => [type, isOwn])).toEqual([
      ['added', true],
      ['updated', false],
    ]);
  });

  test('is known as that also when the watch is late', async () => {
    const observed = start({ timings: { answerMs: 50 } });
    await observed.watch.synced;
    await watchIsOpen();
    world.proxy.freezeWatches();
    const { metadata } = await objects.put('own');
    await observed.watch.expect(metadata.resourceVersion ?? '');
    expect(observed.changes).toEqual([]);
    world.proxy.resetConnections();
    await until('it was told', () => observed.changes.length === 1);
    expect(observed.changes[0]?.isOwn).toBe(true);
  });

  test('is not taken into a cache that it does not belong to', async () => {
    const observed = start({ labels: { app: 'x' } });
    await observed.watch.synced;
    observed.watch.observe(await objects.put('unlabelled'));
    expect(observed.watch.get('unlabelled', namespace)).toBeUndefined();
  });
});
