import { describe, expect, it } from 'vitest';
import { resequenceStep } from '../../../runtime/steps/resequence.ts';
import { startGatherer } from './gatherer.ts';
import { messageOf } from './harness.ts';

const minute = 60_000;
const start = (config: object = {}, options?: Parameters<typeof startGatherer>[2]) =>
  startGatherer(resequenceStep, { key: 'body.key', number: 'body.no', timeout: '1m', ...config }, options);
type Started = Awaited<ReturnType<typeof start>>;
const part = (no: number, key = 'a') => ({ key, no });
const numbersOf = (queue: Started) => queue.bodies().map((body) => (body as { no: number }).no);
const giveAll = async (queue: Started, numbers: readonly number[]) => {
  for (const no of numbers) expect(await queue.give(part(no), { id: `n${no}` })).toBe('on');
  await queue.pass(0);
};

describe('resequence', () => {
  it('lets nobody go before those before it', async () => {
    const queue = await start({ first: 1 });
    await giveAll(queue, [3, 2, 5]);
    expect(queue.made).toEqual([]);
    await giveAll(queue, [1]);
    expect(numbersOf(queue)).toEqual([1, 2, 3]);
    await giveAll(queue, [4, 6]);
    expect(numbersOf(queue)).toEqual([1, 2, 3, 4, 5, 6]);
    await queue.finish();
    expect(queue.waiting).toEqual([]);
    expect(numbersOf(queue)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('lets a message go as it came, with its key', async () => {
    const queue = await start({ first: 1, number: "headers['x-no']", key: "'all'" });
    const bodies = [Buffer.from('{"key":"a",  "text":"é"}'), Buffer.from([0x7b, 0x22, 0xff, 0x00])];
    for (const [index, bytes] of bodies.entries()) {
      const attrs = { id: `m${index}`, source: '/shop', type: 'order', specversion: '1.0', other: 'x' } as const;
      const message = messageOf(bytes, { attrs, headers: { 'x-no': String(index + 1), 'x-kept': 'ja' } });
      expect(await queue.give(null, { id: attrs.id, message })).toBe('on');
    }
    await queue.pass(0);
    expect(queue.made.map(({ body }) => Buffer.from(body.bytes()))).toEqual(bodies);
    expect(queue.made[1]).toMatchObject({
      attrs: { id: 'm1', source: '/shop', type: 'order', specversion: '1.0', other: 'x', partitionkey: 'all' },
      headers: { 'x-no': '2', 'x-kept': 'ja' },
    });
  });

  it('keeps keys apart, each with its own time', async () => {
    const queue = await start({ first: 1 });
    for (const [index, key] of ['a', 'b', 'c'].entries()) {
      await queue.give(part(2, key));
      await queue.pass(index * 1_000);
    }
    await queue.give(part(1, 'b'));
    await queue.pass(0);
    expect(queue.bodies()).toEqual([part(1, 'b'), part(2, 'b')]);
    await queue.finish();
    expect(queue.bodies().slice(2)).toEqual([part(2, 'a'), part(2, 'c')]);
  });

  it('lets nobody wait longer than the time, and not less', async () => {
    const queue = await start({ first: 1 });
    await giveAll(queue, [4, 2]);
    await queue.pass(minute - 1);
    await giveAll(queue, [7]);
    expect(queue.made).toEqual([]);
    await queue.pass(1);
    expect(numbersOf(queue)).toEqual([2, 4]);
    await queue.pass(minute - 2);
    expect(numbersOf(queue)).toEqual([2, 4]);
    await queue.pass(1);
    expect(numbersOf(queue)).toEqual([2, 4, 7]);
    await giveAll(queue, [8]);
    expect(numbersOf(queue)).toEqual([2, 4, 7, 8]);
  });

  it('begins with the lowest that comes in time, where no number is the first', async () => {
    const queue = await start();
    await giveAll(queue, [6, 5, 7]);
    expect(queue.made).toEqual([]);
    await queue.pass(minute);
    expect(numbersOf(queue)).toEqual([5, 6, 7]);
    await giveAll(queue, [8]);
    expect(numbersOf(queue)).toEqual([5, 6, 7, 8]);
  });

  it('rejects or drops what is late, and numbers that are taken', async () => {
    for (const [late, said] of [
      ['Reject', ['reject TooLate', 'reject NumberTaken']],
      ['Drop', ['on', 'on']],
    ] as const) {
      const queue = await start({ first: 1, late });
      await giveAll(queue, [3]);
      await queue.pass(minute);
      await giveAll(queue, [5]);
      expect([await queue.give(part(2)), await queue.give(part(5))], late).toEqual(said);
      await queue.finish();
      expect(numbersOf(queue)).toEqual([3, 5]);
    }
  });

  it('lets a replay go on, late or not', async () => {
    const queue = await start({ first: 5 });
    expect(await queue.give(part(2), { id: 'late' })).toBe('reject TooLate');
    expect(await queue.give(part(2), { id: 'late', replay: 1 })).toBe('on');
    expect(numbersOf(queue)).toEqual([2]);
  });

  it('rejects who waited in vain, when it shall, and still waits for the number', async () => {
    const queue = await start({ first: 1, onGap: 'Reject' });
    await giveAll(queue, [3, 2]);
    await queue.pass(minute);
    expect(queue.refused).toEqual(['GapTimeout', 'GapTimeout']);
    await giveAll(queue, [1, 2, 3]);
    expect(queue.refused).toHaveLength(2);
    expect(numbersOf(queue)).toEqual([1]);
  });

  it('keeps one of a message, however often it comes, also after its turn', async () => {
    const queue = await start({ first: 1 });
    for (const repeated of [false, true]) await queue.give(part(2), { id: 'two', repeated });
    await queue.restart();
    for (const repeated of [false, true]) await queue.give(part(1), { id: 'one', repeated });
    await queue.pass(0);
    await queue.restart();
    for (const id of ['one', 'two'])
      expect(await queue.give(part(id === 'one' ? 1 : 2), { id, repeated: true })).toBe('on');
    await queue.finish();
    expect(numbersOf(queue)).toEqual([1, 2]);
  });

  it('lets who comes again find nobody without an alarm', async () => {
    const queue = await start({ first: 1 });
    queue.fill(0);
    // Its timer has no room: it stays, as if its worker had died before it set one.
    expect(await queue.give(part(2), { id: 'two' })).toBe('postpone InboxFull');
    expect(await queue.give(part(4), { id: 'four' })).toBe('on');
    queue.fill(Number.POSITIVE_INFINITY);
    await queue.restart();
    expect(await queue.give(part(2), { id: 'two', repeated: true })).toBe('on');
    await queue.finish();
    expect(numbersOf(queue)).toEqual([2, 4]);
  });

  it('keeps what is ready while the inbox is full, in order', async () => {
    const queue = await start({ first: 1 });
    await giveAll(queue, [3]);
    queue.fill(0);
    // The timer that is needed has no room either: the first one stays in its place.
    expect(await queue.give(part(1), { id: 'n1' })).toBe('postpone InboxFull');
    expect(await queue.give(part(2), { id: 'n2' })).toBe('on');
    await queue.pass(10_000);
    expect(queue.made).toEqual([]);
    queue.fill(Number.POSITIVE_INFINITY);
    expect(await queue.give(part(1), { id: 'n1', repeated: true })).toBe('on');
    await queue.pass(2_000);
    expect(numbersOf(queue)).toEqual([1, 2, 3]);
    await queue.finish();
    expect(queue.waiting).toEqual([]);
  });

  it('keeps no more than fits: the rest goes on as if the time were over, or is rejected', async () => {
    const text = 'x'.repeat(400);
    const give = (queue: Started, no: number) => queue.give({ ...part(no), text }, { id: `n${no}` });
    const queue = await start({ first: 1 }, { room: 4_000 });
    for (const no of [2, 4, 6, 8]) expect(await give(queue, no)).toBe('on');
    await queue.pass(0);
    expect(numbersOf(queue)).toEqual([2]);
    // Whom all wait for is taken, whatever waits.
    for (const no of [3, 5, 7]) expect(await give(queue, no)).toBe('on');
    await queue.pass(0);
    expect(numbersOf(queue)).toEqual([2, 3, 4, 5, 6, 7, 8]);

    const strict = await start({ first: 1, onGap: 'Reject' }, { room: 4_000 });
    for (const [no, said] of [
      [2, 'on'],
      [4, 'on'],
      [6, 'on'],
      [8, 'reject TooManyWaiting'],
      [1, 'on'],
    ] as const)
      expect(await give(strict, no), String(no)).toBe(said);
    await strict.pass(0);
    expect(numbersOf(strict)).toEqual([1, 2]);
    expect(await strict.give({ ...part(9), text: 'x'.repeat(4_000) })).toBe('reject MessageTooLarge');
  });

  it('forgets a sequence that rests, and begins it anew', async () => {
    const queue = await start({ keep: '1h' });
    await giveAll(queue, [500]);
    await queue.pass(minute);
    await queue.pass(61 * minute);
    await giveAll(queue, [1]);
    await queue.finish();
    expect(numbersOf(queue)).toEqual([500, 1]);
    expect(queue.waiting).toEqual([]);
  });

  it('says what has no place', async () => {
    const queue = await start();
    expect(await queue.give({ key: 'a' })).toBe('reject ExpressionFailed');
    for (const no of [1.5, 'one', '', null, true, 2 ** 60])
      expect(await queue.give({ key: 'a', no }), String(no)).toBe('reject NotANumber');
    expect(await queue.give({ key: 'a', no: '-12' })).toBe('on');
    expect(await queue.give({ no: 1 })).toBe('reject KeyMissing');
  });
});

it.each([
  ['no key', { key: undefined }],
  ['no number', { number: undefined }],
  ['no time', { timeout: undefined }],
  ['what is no expression', { number: 'body.no +' }],
  ['a gap that nothing is known of', { onGap: 'Wait' }],
  ['a first one that is none', { first: 1.5 }],
])('takes no configuration with %s', (_why, config) => {
  const whole = { key: 'body.key', number: 'body.no', timeout: '1m' };
  expect(resequenceStep.config.safeParse({ ...whole, ...config }).success).toBe(false);
  expect(resequenceStep.config.safeParse(whole).success).toBe(true);
});
