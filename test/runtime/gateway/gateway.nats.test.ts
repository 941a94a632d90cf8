import { once } from 'node:events';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { planBuckets } from '../../../operator/plan/buckets.ts';
import type { Gateway } from '../../../runtime/gateway/gateway.ts';
import { entryOf, startTenant, type TestTenant, until } from './tenant.ts';

let world: TestTenant;
let gateway: Gateway & { url: string };
beforeAll(async () => {
  world = await startTenant();
  gateway = await world.gateway();
});
afterAll(() => world[Symbol.asyncDispose]());

const source = (path: string, more: object = {}) => ({ name: 'in', http: { path, ...more } });
const send = async (path: string, body = '{}', url = gateway.url) => {
  const response = await fetch(url + path, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  };
};
const status = async (path: string) => (await send(path)).status;

describe('the route table', () => {
  test('an entry is served and reported with its revision; a new one replaces it, a deleted one is gone', async () => {
    await world.inbox('table');
    const first = await world.route('table', [source('/a')]);
    expect(first).toMatchObject({ uid: 'uid-table', generation: 1 });
    expect(await status('/table/a')).toBe(202);
    const second = await world.route('table', [source('/b')], { generation: 2 });
    expect(second).toMatchObject({ generation: 2 });
    expect(second.revision).toBeGreaterThan(first.revision);
    expect([await status('/table/a'), await status('/table/b')]).toEqual([404, 202]);
    await world.tenant.broker.deleteRoutes('table');
    await expect.poll(() => status('/table/b')).toBe(404);
  });

  test.each<[why: string, entry: () => unknown, error: RegExp]>([
    ['no source that we know', () => entryOf('broken', [{ name: 'in', carrier: { pigeon: true } }]), /carrier|source/],
    ['settings that we do not know', () => entryOf('broken', [source('/a', { future: 1 })]), /future/],
    ['one path twice', () => entryOf('broken', [source('/a'), { ...source('/a'), name: 'in2' }]), /taken twice/],
    ['another tenant', () => entryOf('broken', [source('/a')], { tenant: 'globex' }), /globex/],
    ['another Integration', () => ({ ...entryOf('other', [source('/a')]), integration: 'other' }), /other/],
    ['no JSON', () => undefined, /JSON/],
  ])('a broken entry (%s) keeps the last good one and says why', async (_why, entry, error) => {
    await world.inbox('broken');
    const good = await world.route('broken', [source('/good')], { generation: Date.now() });
    const admin = await world.tenant.admin();
    admin.publish('$KV.gateway.routes.broken', JSON.stringify(entry()) ?? '{"version":');
    const applied = await until('the refusal', async () => {
      const found = await world.tenant.broker.applied('broken');
      return found?.error === undefined ? undefined : found;
    });
    expect(applied.error).toMatch(error);
    expect(applied.revision).toBeGreaterThan(good.revision);
    expect(await status('/broken/good')).toBe(202);
  });

  test('an entry that is broken from the start serves nothing', async () => {
    const applied = await world.route('never', [source('/a', { path: 'no-slash' })]);
    expect(applied).toMatchObject({ uid: 'uid-never', generation: 1 });
    expect(applied.error).toContain('path');
    expect(await status('/never/a')).toBe(404);
  });

  test('a secret that is not mounted yet: 503 and not applied, then served', async () => {
    await world.inbox('secret');
    const auth = (key: string) => ({ auth: { bearer: { secretKeyRef: { name: 'late', key } } } });
    const post = async (token: string) =>
      (await fetch(`${gateway.url}/secret/a`, { method: 'POST', headers: { authorization: `Bearer ${token}` } }))
        .status;
    const waiting = await world.route('secret', [source('/a', auth('one'))]);
    expect(waiting.error).toContain('key one of Secret late');
    expect(await post('1')).toBe(503);
    await world.secret('late', 'one', '1');
    await expect
      .poll(async () => (await world.tenant.broker.applied('secret'))?.error, { timeout: 60_000 })
      .toBeUndefined();
    expect(await post('1')).toBe(202);

    // The next entry names another key: until it is there, the first one serves.
    expect((await world.route('secret', [source('/a', auth('two'))], { generation: 2 })).error).toContain('key two');
    expect([await post('1'), await post('2')]).toEqual([202, 401]);
    await world.secret('late', 'two', '2');
    await expect.poll(() => post('2'), { timeout: 60_000 }).toBe(202);
  });

  test('a suspended Integration still stores what arrives', async () => {
    await world.inbox('paused');
    await world.route('paused', [source('/a')], { suspended: true });
    expect(await status('/paused/a')).toBe(202);
  });

  test('revisions change under load without one failed request', async () => {
    await world.inbox('busy');
    await world.route('busy', [source('/a')]);
    const enough = new AbortController();
    const statuses = new Map<number, number>();
    const load = Promise.all(
      Array.from({ length: 4 }, async () => {
        while (!enough.signal.aborted) {
          const code = await status('/busy/a');
          statuses.set(code, (statuses.get(code) ?? 0) + 1);
        }
      }),
    );
    for (let generation = 2; generation < 12; generation += 1) {
      await world.route('busy', [source('/a'), { name: `s${generation}`, http: { path: `/p${generation}` } }], {
        generation,
      });
    }
    enough.abort();
    await load;
    expect([...statuses.keys()]).toEqual([202]);
  });
});

describe('trouble with NATS', () => {
  test('a full inbox: 503, try again later, nothing stored; room again: accepted', async () => {
    await world.inbox('full', 64 * 1024);
    await world.route('full', [source('/a')]);
    const body = JSON.stringify('x'.repeat(20_000));
    let accepted = 0;
    let answer = await send('/full/a', body);
    for (; answer.status === 202; answer = await send('/full/a', body)) accepted += 1;
    expect(accepted).toBeGreaterThan(0);
    expect([answer.status, answer.body['code']]).toEqual([503, 'InboxFull']);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await world.stored('full')).toHaveLength(accepted);
    await world.manager.streams.purge('inbox_full');
    expect(await status('/full/a')).toBe(202);
  });

  test('no inbox (yet): 503', async () => {
    await world.route('early', [source('/a')]);
    expect(await send('/early/a')).toMatchObject({ status: 503, body: { code: 'InboxUnavailable' } });
    await world.inbox('early');
    expect(await status('/early/a')).toBe(202);
  });

  test('NATS is away: 503 at once and not ready; back: accepted, and the table is followed again', async () => {
    await world.inbox('away');
    await world.route('away', [source('/a')]);
    await world.world.kill();
    await expect.poll(() => gateway.ready()).toBe(false);
    const answer = await send('/away/a');
    expect([answer.status, answer.body['code']]).toEqual([503, 'InboxUnavailable']);
    expect(answer.headers.get('retry-after')).toBe('2');
    await world.world.start();
    await until('ready again', () => gateway.ready() || undefined);
    await expect.poll(() => status('/away/a')).toBe(202);
    await world.route('away', [source('/b')], { generation: 2 });
    expect(await status('/away/b')).toBe(202);
  });

  test('the bucket is made anew: what is not in it any more is not served', async () => {
    await world.inbox('anew');
    await world.route('anew', [source('/a')]);
    await world.manager.streams.delete('KV_gateway');
    for (const bucket of planBuckets({ uid: 'tenant-uid', replicas: 1 }))
      await world.tenant.broker.ensureStream(bucket);
    await expect.poll(() => status('/anew/a'), { timeout: 60_000 }).toBe(404);
    await world.route('anew', [source('/c')], { generation: 2 });
    expect(await status('/anew/c')).toBe(202);
  });
});

describe('the end of a gateway', () => {
  test('stop: what is being received is answered and stored, new connections are refused', async () => {
    await world.inbox('stop');
    await world.route('stop', [source('/a')]);
    const other = await world.gateway();
    const { hostname, port } = new URL(other.url);
    const slow = request({ host: hostname, port, path: '/stop/a', method: 'POST', headers: { 'content-length': 4 } });
    slow.write('ab');
    const answered = once(slow, 'response');
    await once(slow, 'socket');
    await expect.poll(() => slow.socket?.connecting).toBe(false);
    await new Promise((resolve) => slow.write('c', resolve));
    // Another request on another connection shows that the first one has arrived, too.
    expect((await send('/stop/a', '{}', other.url)).status).toBe(202);
    const stopped = other.stop();
    await expect
      .poll(() =>
        fetch(`${other.url}/stop/a`).then(
          () => 'open',
          () => 'refused',
        ),
      )
      .toBe('refused');
    slow.end('d');
    const [response] = await answered;
    expect([response.statusCode, response.headers.connection]).toEqual([202, 'close']);
    await stopped;
    const bodies = (await world.stored('stop')).map(({ body }) => Buffer.from(body.bytes()).toString());
    expect(bodies.sort()).toEqual(['abcd', '{}']);
  });

  test('stop: a sender that never finishes holds it up for the grace period only', async () => {
    await world.route('stop', [source('/a')], { generation: 3 });
    const other = await world.gateway();
    const { hostname, port } = new URL(other.url);
    const slow = request({ host: hostname, port, path: '/stop/a', method: 'POST', headers: { 'content-length': 4 } });
    const cut = once(slow, 'error');
    slow.write('ab');
    expect((await send('/stop/a', '{}', other.url)).status).toBe(202);
    await other.stop(500);
    expect((await cut)[0]).toMatchObject({ code: 'ECONNRESET' });
  });
});
