import { describe, expect, test } from 'vitest';
import { accountMarks } from '../../../operator/broker/account-marks.ts';

interface Figures {
  storage?: number;
  api?: number;
  received?: number;
}
/** Two servers, or as many as are told of, and what each says of its accounts. */
const servers = () => {
  const told = new Map<string, Record<string, Figures>>([
    ['n1', {}],
    ['n2', {}],
  ]);
  const asked: string[] = [];
  let isSilent = false;
  const answer = (subject: string, { limit = 0, offset = 0 }: { limit?: number; offset?: number }) =>
    [...told].map(([id, accounts]) => {
      const page = Object.entries(accounts).slice(offset, offset + limit);
      const data = subject.endsWith('JSZ')
        ? {
            total: Object.keys(accounts).length,
            account_details: page.map(([name, { storage = 0, api = 0 }]) => ({
              name: `the ${name}`,
              id: name,
              memory: 0,
              storage,
              api: { total: api, errors: 0 },
            })),
          }
        : {
            // One without connections is left out.
            account_statz: Object.entries(accounts).flatMap(([acc, { received }]) =>
              received === undefined ? [] : [{ acc, received: { msgs: received, bytes: 1 } }],
            ),
          };
      return Buffer.from(JSON.stringify({ server: { id, name: id }, data }));
    });
  const marks = accountMarks(async (subject, query) => {
    asked.push(subject);
    return isSilent && subject.endsWith('STATZ') ? undefined : answer(subject, query);
  });
  return {
    set: (server: string, account: string, figures: Figures) => {
      (told.get(server) as Record<string, Figures>)[account] = figures;
    },
    remove: (account: string) => {
      for (const accounts of told.values()) delete accounts[account];
    },
    silence: (silent: boolean) => {
      isSilent = silent;
    },
    asked,
    look: (at: number) => marks.look(at),
  };
};

describe('in which accounts something may have happened', () => {
  test('is told by what is stored, by what is asked of JetStream, and by what clients sent, on any server', async () => {
    const { set, look, remove } = servers();
    for (const account of ['a', 'b', 'c']) for (const server of ['n1', 'n2']) set(server, account, { received: 1 });
    expect(await look(0)).toEqual({ all: ['a', 'b', 'c'], moved: ['a', 'b', 'c'] });
    expect(await look(5_000)).toEqual({ all: ['a', 'b', 'c'], moved: [] });
    set('n1', 'a', { received: 1, storage: 10 });
    expect((await look(10_000))?.moved).toEqual(['a']);
    set('n2', 'b', { received: 2 });
    expect((await look(20_000))?.moved).toEqual(['b']);
    set('n2', 'c', { received: 1, api: 1 });
    expect((await look(30_000))?.moved).toEqual(['c']);
    // The last connection went.
    set('n1', 'c', {});
    expect((await look(40_000))?.moved).toEqual(['c']);
    remove('a');
    expect(await look(50_000)).toEqual({ all: ['b', 'c'], moved: [] });
  });

  test('stays so for a while: a message counts before it is stored', async () => {
    const { set, look } = servers();
    set('n1', 'a', { received: 1 });
    await look(0);
    expect((await look(1_999))?.moved).toEqual(['a']);
    expect((await look(2_001))?.moved).toEqual([]);
  });

  test('is told of thousands, in pages', async () => {
    const { set, look, asked } = servers();
    for (let index = 0; index < 2_500; index += 1) set('n1', `a${index}`, {});
    await look(0);
    expect(asked.filter((subject) => subject.endsWith('JSZ'))).toHaveLength(3);
    set('n1', 'a2400', { storage: 1 });
    const found = await look(5_000);
    expect([found?.all.length, found?.moved]).toEqual([2_500, ['a2400']]);
  });

  test('is not known while a server does not tell, and that one is asked again after minutes', async () => {
    const { set, look, asked, silence } = servers();
    set('n1', 'a', { received: 1 });
    await look(0);
    silence(true);
    set('n1', 'a', { received: 2 });
    expect(await look(5_000)).toBeUndefined();
    const before = asked.length;
    expect(await look(10_000)).toBeUndefined();
    expect(asked).toHaveLength(before);
    silence(false);
    expect((await look(305_000))?.moved).toEqual(['a']);
  });
});
