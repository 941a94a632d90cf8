import { describe, expect, test } from 'vitest';
import { changedFigures } from '../../../operator/broker/changed-figures.ts';
import { readFigures } from '../../../operator/broker/jetstream-figures.ts';

type Account = ReturnType<typeof account>;
const account = (name: string, streams: Record<string, number>) => ({
  name,
  id: `A${name.toUpperCase().padEnd(55, 'X')}`,
  storage: 1,
  stream_detail: Object.entries(streams).map(([stream, messages]) => ({
    name: stream,
    state: { messages, bytes: 7, first_seq: 1, last_seq: messages, last_ts: '2026-01-01T00:00:00Z', consumer_count: 1 },
  })),
});
const answer = (accounts: readonly Account[], at = 0) =>
  Buffer.from(
    JSON.stringify({
      server: { name: 'NA', ver: '2.15.2', seq: at },
      data: { now: String(at), config: { sync_always: true }, account_details: accounts, total: accounts.length },
    }),
  );
const streamsIn = ({ data }: ReturnType<typeof readFigures>) =>
  (data?.account_details ?? []).flatMap(({ id, stream_detail }) =>
    (stream_detail ?? []).map(({ name }) => `${id?.slice(0, 2)} ${name}`),
  );

describe('what a server says again', () => {
  test('is read where it has changed only', () => {
    const look = changedFigures();
    const once = (accounts: readonly Account[], at: number) => {
      const { read, done } = look();
      const { figures, same } = read(answer(accounts, at));
      done();
      return [
        streamsIn(figures),
        keysOf(same)
          .map((key) => key.replace(/X+ /, ' '))
          .toSorted(),
      ];
    };
    const [a, b] = [account('a', { inbox_x: 1 }), account('b', { inbox_y: 2, dlq_y: 0 })];
    expect(once([a, b], 1)).toEqual([['AA inbox_x', 'AB inbox_y', 'AB dlq_y'], []]);
    expect(once([a, b], 2)).toEqual([[], ['AA inbox_x', 'AB dlq_y', 'AB inbox_y']]);
    // A server goes through the streams of an account in any order.
    expect(once([a, account('b', { dlq_y: 0, inbox_y: 2 })], 3)).toEqual([
      [],
      ['AA inbox_x', 'AB dlq_y', 'AB inbox_y'],
    ]);
    expect(once([account('a', { inbox_x: 2 }), account('b', { inbox_y: 2, dlq_y: 1 })], 4)).toEqual([
      ['AA inbox_x', 'AB dlq_y'],
      ['AB inbox_y'],
    ]);
    expect(once([b], 5)).toEqual([['AB dlq_y'], ['AB inbox_y']]);
    expect(once([a, b], 6)).toEqual([['AA inbox_x'], ['AB dlq_y', 'AB inbox_y']]);
    expect(once([], 7)).toEqual([[], []]);
  });

  test('is read wherever the server began, and whichever of the streams changed', () => {
    const names = ['x', 'y', 'z'];
    for (const from of names.keys())
      for (const moved of [undefined, ...names]) {
        const look = changedFigures();
        const first = look();
        first.read(answer([account('a', { x: 1, y: 1, z: 1 })]));
        first.done();
        // As long as before: the sizes tell nothing.
        const turned = [...names.slice(from), ...names.slice(0, from)].map((name) => [name, name === moved ? 2 : 1]);
        const { figures, same } = look().read(answer([account('a', Object.fromEntries(turned))]));
        const why = `from ${names[from]}, changed: ${moved}`;
        expect(streamsIn(figures), why).toEqual(moved ? [`AA ${moved}`] : []);
        expect(same.flatMap(({ streams }) => streams).toSorted(), why).toEqual(names.filter((name) => name !== moved));
      }
  });

  test('is compared with the last look that was read to its end', () => {
    const look = changedFigures();
    const [old, young] = [account('a', { inbox_x: 1 }), account('a', { inbox_x: 2 })];
    const first = look();
    first.read(answer([old]));
    first.done();
    look().read(answer([young]));
    expect(keysOf(look().read(answer([young])).same)).toEqual([]);
  });

  test('may come in pages, and be of a server without accounts', () => {
    const look = changedFigures();
    const [a, b] = [account('a', { inbox_x: 1 }), account('b', { inbox_x: 1 })];
    const first = look();
    for (const one of [a, b]) first.read(answer([one]));
    first.done();
    const second = look();
    const again = [a, b].flatMap((one) => second.read(answer([one])).same);
    expect(again.map((one) => one.account)).toEqual([a.id, b.id]);
    const nothing = '{"server":{"name":"NA","ver":"2.15.2"}}';
    expect(look().read(Buffer.from(nothing))).toEqual({ figures: readFigures(nothing), same: [] });
  });

  test('is not believed when it ends early', () => {
    expect(() => changedFigures()().read(answer([account('a', { inbox: 1 })]).slice(0, -30))).toThrow(
      /within an account/,
    );
  });

  test('is as if all had been read, whatever changes and however things are called', () => {
    // A fixed seed: the same two hundred histories each time.
    let seed = 20_261_122;
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return Math.floor((seed / 2 ** 31) * below);
    };
    const odd = ['plain', 'with "quotes"', 'a } brace', 'an [ and { both', 'back\\slash\\', 'id":"', '\\"', 'ä, ü'];
    const randomAccount = (): Account => {
      const streams = Array.from({ length: random(6) }, () => [odd[random(odd.length)] ?? '', random(3)] as const);
      return account(`t${random(5)}`, Object.fromEntries(streams));
    };
    for (let history = 0; history < 200; history += 1) {
      const look = changedFigures();
      let known = new Map<string, string>();
      let accounts: Account[] = [];
      for (let at = 0; at < 12; at += 1) {
        // Begun at another stream, as a server does, or in an order of which it could be no more than a turn.
        const kept = accounts
          .filter(() => random(4) > 0)
          .map((one) => {
            const from = random(4);
            const turned = [...one.stream_detail.slice(from), ...one.stream_detail.slice(0, from)];
            return { ...one, stream_detail: random(4) > 0 ? turned : turned.toReversed() };
          });
        const added = Array.from({ length: random(3) }, randomAccount);
        accounts = [...new Map([...kept, ...added].map((one) => [one.id, one])).values()];
        const { read, done } = look();
        const { figures, same } = read(answer(accounts, at));
        done();
        const changed = streamsOf((figures.data?.account_details ?? []) as unknown as Account[]);
        const whole = streamsOf(accounts);
        const found = new Map([...keysOf(same).map((key) => [key, known.get(key)] as const), ...changed]);
        expect(Object.fromEntries(found), `history ${history}, look ${at}`).toEqual(Object.fromEntries(whole));
        // Control: something is told as unchanged, and rightly so.
        const unchanged = [...whole].filter(([key, text]) => known.get(key) === text).map(([key]) => key);
        expect(keysOf(same).toSorted()).toEqual(unchanged.toSorted());
        known = whole;
      }
    }
  });
});

const keyOf = (one: { account: string; stream: string }): string => `${one.account} ${one.stream}`;
const keysOf = (same: readonly { account: string; streams: readonly string[] }[]): string[] =>
  same.flatMap(({ account, streams }) => streams.map((stream) => keyOf({ account, stream })));
const streamsOf = (accounts: readonly Account[]): Map<string, string> =>
  new Map(
    accounts.flatMap(({ id, stream_detail }) =>
      stream_detail.map((one) => [keyOf({ account: id, stream: one.name }), JSON.stringify(one)] as const),
    ),
  );
