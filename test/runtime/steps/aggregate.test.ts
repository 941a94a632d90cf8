import { describe, expect, it } from 'vitest';
import { aggregateStep } from '../../../runtime/steps/aggregate.ts';
import { take } from '../../../runtime/steps/aggregate-groups.ts';
import { type Place, placesUntil } from '../../../runtime/steps/aggregate-places.ts';
import { startGatherer, startMs } from './gatherer.ts';

const minute = 60_000;
const start = (config: object, options?: Parameters<typeof startGatherer>[2]) =>
  startGatherer(aggregateStep, { key: 'body.key', ...config }, options);
const part = (no: number, key = 'a') => ({ key, no });
const numbersIn = (bodies: readonly unknown[]) => bodies.map((list) => (list as { no: number }[]).map(({ no }) => no));

describe('aggregate until', () => {
  it('ends a group with its last message, and begins another one', async () => {
    const groups = await start({ until: { count: 2, timeout: '1m' } });
    for (const no of [1, 2, 3, 4, 5]) expect(await groups.give(part(no))).toBe('on');
    await groups.pass(0);
    expect(numbersIn(groups.bodies())).toEqual([
      [1, 2],
      [3, 4],
    ]);
    await groups.pass(minute);
    expect(numbersIn(groups.bodies())).toEqual([[1, 2], [3, 4], [5]]);
    await groups.finish();
    expect(groups.waiting).toEqual([]);
  });

  it('ends a group when the expression holds for what it has', async () => {
    const groups = await start({ until: { when: 'body.exists(each, each.no == 9)', timeout: '1m' } });
    for (const no of [1, 9, 2]) await groups.give(part(no));
    await groups.pass(0);
    expect(numbersIn(groups.bodies())).toEqual([[1, 9]]);
  });

  it('ends a group in time, not before, and not later because messages come', async () => {
    const groups = await start({ until: { timeout: '1m' } });
    await groups.give(part(1));
    await groups.pass(minute - 1);
    await groups.give(part(2));
    expect(groups.made).toEqual([]);
    await groups.pass(1);
    await groups.give(part(3));
    expect(numbersIn(groups.bodies())).toEqual([[1, 2]]);
  });

  it('takes into the old group nothing that comes when it is over, however late its wake is', async () => {
    const groups = await start({ until: { timeout: '1m' } });
    await groups.give(part(1));
    await groups.pass(0);
    // As when the worker was away: nothing resumes.
    const wakes = groups.waiting.splice(0);
    await groups.pass(2 * minute);
    await groups.give(part(2));
    groups.waiting.push(...wakes);
    await groups.finish();
    expect(numbersIn(groups.bodies())).toEqual([[1], [2]]);
  });

  it('keeps keys apart, each with its own time', async () => {
    const groups = await start({ until: { timeout: '1m' } });
    const keys = Array.from({ length: 40 }, (_, index) => `k${index}`);
    for (const [index, key] of keys.entries()) {
      await groups.give(part(index, key));
      await groups.pass(1_000);
    }
    await groups.pass(minute - 40_000);
    expect(groups.made.map(({ attrs }) => attrs['partitionkey'])).toEqual(['k0']);
    await groups.finish();
    expect(groups.made.map(({ attrs }) => attrs['partitionkey'])).toEqual(keys);
  });

  it('tells what a group is of', async () => {
    const groups = await start({ until: { count: 2, timeout: '1m' } });
    await groups.give(part(1), { attrs: { type: 'line', correlationid: 'c' } });
    await groups.give(part(2), { attrs: { type: 'other' } });
    await groups.pass(0);
    const [made] = groups.made;
    expect(made?.attrs).toEqual({
      id: expect.stringMatching(/^[\w-]{27}$/),
      source: '/acme/orders/gather',
      type: 'line',
      specversion: '1.0',
      datacontenttype: 'application/json',
      correlationid: 'c',
      partitionkey: 'a',
    });
  });
});

describe('aggregate window', () => {
  it('tumbling: by the time of the message, a while after the end', async () => {
    const groups = await start({ window: { tumbling: { size: '1m', lateness: '5s' } } });
    await groups.give(part(1));
    await groups.pass(minute - 1);
    await groups.give(part(2));
    await groups.pass(1);
    await groups.give(part(3));
    await groups.pass(5_000 - 1);
    expect(groups.made).toEqual([]);
    await groups.pass(1);
    expect(numbersIn(groups.bodies())).toEqual([[1, 2]]);
    await groups.finish();
    expect(numbersIn(groups.bodies())).toEqual([[1, 2], [3]]);
    expect(groups.made[0]?.attrs).toMatchObject({
      windowstart: '2026-01-05T12:00:00.000Z',
      windowend: '2026-01-05T12:01:00.000Z',
    });
  });

  it('tumbling: by the time that an expression gives; what is late is rejected or dropped, and opens nothing', async () => {
    const at = (second: number, no: number) => ({
      ...part(no),
      at: new Date(startMs + second * 1_000).toISOString(),
    });
    const time = { size: '10s', lateness: '1s', time: 'body.at' };
    for (const [late, said] of [
      ['Reject', 'reject TooLate'],
      ['Drop', 'on'],
    ] as const) {
      const groups = await start({ window: { tumbling: { ...time, late } } });
      await groups.give(at(12, 2));
      await groups.give(at(3, 1));
      await groups.pass(11_000);
      expect(await groups.give(at(4, 3)), late).toBe(said);
      expect(await groups.give(at(13, 4))).toBe('on');
      await groups.finish();
      expect(numbersIn(groups.bodies())).toEqual([[1], [2, 4]]);
    }
  });

  it('tumbling: what lay in the inbox for hours finds its window together', async () => {
    const groups = await start({ window: { tumbling: { size: '10s', lateness: '1s', time: 'body.at' } } });
    await groups.pass(5 * 60 * minute);
    for (const no of [1, 2, 3]) {
      await groups.give({ ...part(no), at: new Date(startMs + no).toISOString() });
      await groups.pass(500);
    }
    await groups.finish();
    expect(numbersIn(groups.bodies())).toEqual([[1, 2, 3]]);
  });

  it('sliding: a message is in every window over its time', async () => {
    const groups = await start({ window: { sliding: { size: '30s', every: '10s', lateness: '1s' } } });
    await groups.give(part(1));
    await groups.pass(10_000);
    await groups.give(part(2));
    await groups.finish();
    expect(numbersIn(groups.bodies())).toEqual([[1], [1, 2], [1, 2], [2]]);
    expect(new Set(groups.made.map(({ attrs }) => attrs.id)).size).toBe(4);
  });

  it('session: as long as messages come', async () => {
    const groups = await start({ window: { session: { gap: '10s' } } });
    for (const no of [1, 2, 3]) {
      await groups.give(part(no));
      await groups.pass(9_999);
    }
    expect(groups.made).toEqual([]);
    await groups.pass(1);
    await groups.give(part(4));
    expect(numbersIn(groups.bodies())).toEqual([[1, 2, 3]]);
  });
});

describe('aggregate keeps', () => {
  it('one part of a message, however often it comes, also after the group has ended', async () => {
    const groups = await start({ until: { count: 3, timeout: '1m' } });
    for (const repeated of [false, true, true]) await groups.give(part(1), { id: 'one', repeated });
    await groups.give(part(2));
    await groups.restart();
    await groups.give(part(1), { id: 'one', repeated: true });
    for (const repeated of [false, true]) await groups.give(part(3), { id: 'three', repeated });
    await groups.pass(1_000);
    for (const id of ['one', 'three']) await groups.give(part(1), { id, repeated: true });
    await groups.finish();
    expect(numbersIn(groups.bodies())).toEqual([[1, 2, 3]]);
  });

  it('one part of a message that was looked for in vain just before its group ended', () => {
    const [place] = placesUntil({ timeout: '1h' })('k');
    const again = { id: 'a', body: 1, bytes: 1, attrs: { type: 'order' } };
    const rules = { place: place as Place, now: startMs, room: 100, isWhole: () => false };
    const next = { number: 1, unsent: [] };
    expect(take(next, again, { ...rules, checked: 0 })).toEqual({ result: { kind: 'moved' } });
    expect(take(next, again, { ...rules, checked: 1 }).result, 'control').toMatchObject({ kind: 'kept', number: 1 });
  });

  it('no more than fits into a message: the rest is another group', async () => {
    const groups = await start({ until: { timeout: '1m' } }, { room: 60 });
    for (const no of [1, 2, 3, 4, 5]) await groups.give(part(no));
    await groups.finish();
    expect(numbersIn(groups.bodies())).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
    for (const { body } of groups.made) expect(body.bytes().length).toBeLessThanOrEqual(60);
    expect(await groups.give({ key: 'a', text: 'x'.repeat(60) })).toBe('reject MessageTooLarge');
  });

  it('a message that fails the condition out of the group', async () => {
    const groups = await start({ until: { when: 'body.all(each, each.no > 0)', timeout: '1m' } });
    expect(await groups.give({ key: 'a' })).toBe('reject ExpressionFailed');
    expect(await groups.give(part(1))).toBe('on');
    await groups.finish();
    expect(numbersIn(groups.bodies())).toEqual([[1]]);
  });

  it('its timers apart from those of a place that was forgotten meanwhile', async () => {
    const groups = await start({ until: { count: 2, timeout: '72h' } });
    for (const no of [1, 2, 3, 4, 5, 6]) await groups.give(part(no));
    // What is known of a place that rests is forgotten after a day; the time of its last group stands in the slot for three days.
    await groups.pass(60 * 60 * minute);
    for (const no of [7, 8]) await groups.give(part(no));
    await groups.finish();
    expect(numbersIn(groups.bodies())).toEqual([
      [1, 2],
      [3, 4],
      [5, 6],
      [7, 8],
    ]);
  });

  it('everything while the inbox is full, and holds up no message but those that stand for a timer', async () => {
    const groups = await start({ until: { count: 2, timeout: '10m' } });
    groups.fill(0);
    const keys = Array.from({ length: 60 }, (_, index) => `k${index}`);
    const stay = [];
    for (const key of keys) if ((await groups.give(part(1, key), { id: `${key}-1` })) !== 'on') stay.push(`${key}-1`);
    expect(stay.length).toBeGreaterThan(0);
    expect(stay.length).toBeLessThanOrEqual(8);
    for (const key of keys) if ((await groups.give(part(2, key), { id: `${key}-2` })) !== 'on') stay.push(`${key}-2`);
    expect(stay.length).toBeLessThanOrEqual(8);
    expect(groups.made).toEqual([]);
    groups.fill(Number.POSITIVE_INFINITY);
    await groups.restart();
    for (const id of stay) {
      const [key, no] = id.split('-') as [string, string];
      expect(await groups.give(part(Number(no), key), { id, repeated: true })).toBe('on');
    }
    await groups.pass(2_000);
    expect(numbersIn(groups.bodies())).toEqual(keys.map(() => [1, 2]));
    await groups.finish();
    expect(groups.made.length).toBe(keys.length);
  });

  it('the first of all times, although one that is much later was set before', async () => {
    const groups = await start({ window: { tumbling: { size: '10s', lateness: '1s', time: 'body.at' } } });
    await groups.give({ ...part(1), at: new Date(startMs + 86_400_000).toISOString() });
    await groups.pass(1_000);
    for (let no = 2; no < 30; no += 1)
      await groups.give({ ...part(no, `k${no}`), at: new Date(startMs + 500).toISOString() });
    await groups.pass(10_000);
    expect(groups.made.length).toBe(28);
    await groups.finish();
    expect(groups.made.length).toBe(29);
    expect(groups.waiting).toEqual([]);
  });
});

it.each([
  ['neither until nor window', {}],
  ['both', { until: { timeout: '1m' }, window: { session: { gap: '1m' } } }],
  ['a group that nothing ends', { until: { count: 2 } }],
  ['groups of one', { until: { count: 1, timeout: '1m' } }],
  ['two kinds of windows', { window: { session: { gap: '1m' }, tumbling: { size: '1m' } } }],
  ['more windows than are kept', { window: { sliding: { size: '1h', every: '1m' } } }],
])('takes no configuration with %s', (_why, config) => {
  expect(aggregateStep.config.safeParse({ key: 'body.key', ...config }).success).toBe(false);
});
