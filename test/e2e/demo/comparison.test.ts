import { describe, expect, it } from 'vitest';
import { compare } from './deliveries.ts';
import { type Expected, expectedOf, rejectedOf } from './expectations.ts';
import { loadWebhooks, signatureOf, webhook } from './payloads.ts';

/* The demo is only worth what its comparison would find. */
const expected: Expected[] = [
  { path: '/acme/tickets', id: 'a', body: { n: 1 } },
  { path: '/globex/feed', id: 'a', body: { n: 1 } },
  { path: '/globex/desk', id: 'a', body: { n: 1 } },
];
const arrived = (path: string, id: string, body = '{"n":1}') => ({ path, id, headers: {}, body });
const all = expected.map(({ path, id }) => arrived(path, id));

describe('compare', () => {
  it.each([
    ['everything, in any order', all.toReversed(), {}],
    ['nothing', [], { matched: 0, missing: 3 }],
    ['one sink of two got it', all.slice(0, 2), { matched: 2, missing: 1 }],
    ['a message of nobody', [...all, arrived('/acme/tickets', 'b')], { unexpected: 1 }],
    ["another tenant's message", [...all, arrived('/acme/feed', 'a')], { unexpected: 1 }],
    ['one twice', [...all, arrived('/globex/feed', 'a')], { repeated: 1 }],
    ['another body', [...all.slice(1), arrived('/acme/tickets', 'a', '{"n":2}')], { matched: 2, different: 1 }],
    ['a key too many', [...all.slice(1), arrived('/acme/tickets', 'a', '{"n":1,"m":1}')], { matched: 2, different: 1 }],
  ])('%s', (_, received, differs) => {
    const { matched, missing, unexpected, different, repeated } = compare(expected, received);
    expect({
      matched,
      missing: missing.length,
      unexpected: unexpected.length,
      different: different.length,
      repeated: repeated.length,
    }).toEqual({ matched: 3, missing: 0, unexpected: 0, different: 0, repeated: 0, ...differs });
  });
});

describe('the payloads', () => {
  const hooks = loadWebhooks();

  it('are the 329 of the package, each with an id of its own', () => {
    expect(hooks).toHaveLength(329);
    expect(new Set(hooks.map(({ id }) => id)).size).toBe(329);
  });

  it('make different work for the two tenants, and some for every sink', () => {
    const [acme, globex] = [expectedOf.acme(hooks), expectedOf.globex(hooks)];
    expect(acme.length).toBeGreaterThan(30);
    expect(globex.length).toBeGreaterThan(200);
    expect([...new Set(globex.map(({ path }) => path))].sort()).toEqual([
      '/globex/bots',
      '/globex/desk',
      '/globex/feed',
    ]);
    expect(rejectedOf.acme(hooks)).toHaveLength(2);
  });

  it("are signed as in GitHub's own documentation", () => {
    // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    expect(signatureOf('Hello, World!', "It's a Secret to Everybody")).toBe(
      'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17',
    );
    expect(webhook('ping', '{}').event).toBe('ping');
  });
});
