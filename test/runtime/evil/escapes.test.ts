import { describe, expect, it } from 'vitest';
import type { ExpressionScope } from '../../../runtime/connector.ts';
import { InstructionError } from '../../../runtime/errors.ts';
import { parseExpression } from '../../../runtime/expr/cel.ts';
import { longestStallMs, sharedNames, spentOn } from './spent.ts';

/* Expressions that want out: to what objects inherit, to the process, to its memory or its time. */
const scope: ExpressionScope = {
  body: { a: 'text', list: [1, 2], o: { b: 1 } },
  headers: { 'x-a': '1' },
  attrs: { id: '1' },
  vars: {},
  error: null,
  meta: { attempt: 1 },
};

const roots = [
  'body',
  'body.a',
  'body.list',
  'body.o',
  'headers',
  'attrs',
  'vars',
  'meta',
  "''",
  '[1]',
  "{'a': 1}",
  '1',
  'true',
  "b'a'",
];
const inherited = [
  'constructor',
  '__proto__',
  'prototype',
  'toString',
  'valueOf',
  'hasOwnProperty',
  '__defineGetter__',
];
const escapes = [
  ...roots.flatMap((root) => inherited.flatMap((name) => [`${root}.${name}`, `${root}['${name}']`])),
  ...roots.map((root) => `${root}.constructor.constructor('return process')()`),
  ...roots.map((root) => `${root}.__proto__.polluted`),
  'process',
  'globalThis',
  'global',
  'require',
  'module',
  'this',
  'window',
  'Function',
  'Object',
  'Reflect',
  'Proxy',
  "eval('1')",
  "Function('return 1')()",
  "require('fs')",
  "import('fs')",
  'process.exit(1)',
  'new Date()',
  'async () => 1',
  'body = 1',
  'body.a = 1',
  'delete body.a',
  'body.a++',
  '(x => x)(1)',
  '`${1}`',
  'body?.a',
  '...body',
  '/a/.test(body.a)',
  'body.list.map(constructor, constructor)',
  'body.list.map(__proto__, __proto__.polluted)',
  'cel.bind(process, 1, process.exit)',
  "secret('a')",
  "env('PATH')",
  "http('http://a')",
  "file('/etc/passwd')",
];

const said = (source: string): string => {
  const parsed = parseExpression(source);
  if (!parsed.ok) return 'refused';
  try {
    return `gave ${JSON.stringify(parsed.expression.evaluate({ ...scope }))}`;
  } catch (error) {
    return error instanceof InstructionError ? `${error.instruction} ${error.code}` : String(error);
  }
};
/** Names that somebody chose for a variable are nothing but names. */
const harmless: ReadonlyMap<string, string> = new Map([['body.list.map(constructor, constructor)', 'gave [1,2]']]);

describe('expressions', () => {
  it('there are many of them', () => expect(escapes.length).toBeGreaterThanOrEqual(100));

  it.each(escapes)('%s', (source) => {
    const before = sharedNames();
    const expected = harmless.get(source);
    if (expected === undefined) expect(said(source)).toMatch(/^(refused|reject ExpressionFailed)$/);
    else expect(said(source)).toBe(expected);
    expect(sharedNames()).toEqual(before);
  });

  it.each<[string, string]>([
    ['a long one', `1${' + 1'.repeat(2_000)}`],
    ['one of the most characters', `1${' + 1'.repeat(1_000)}`.slice(0, 4_095)],
    ['deep parentheses', `${'('.repeat(2_000)}1${')'.repeat(2_000)}`],
    ['deep lists', `${'['.repeat(2_000)}${']'.repeat(2_000)}`],
    ['deep selections', `body${'.a'.repeat(2_000)}`],
    ['many minus signs', `${'-'.repeat(4_000)}1`],
    ['many exclamation marks', `${'!'.repeat(4_000)}true`],
    ['deep conditions', `${'true ? '.repeat(500)}1${' : 1'.repeat(500)}`],
    ['a list of many', `[${'1,'.repeat(2_000)}1]`],
    ['three loops in each other', 'body.list.map(x, body.list.map(y, body.list.map(z, 1)))'],
    ['loops within what loops', 'body.list.filter(x, body.list.exists(y, body.list.all(z, true)))'],
    [
      'a text that doubles and doubles',
      `cel.bind(a, 'x', cel.bind(b, a + a, cel.bind(c, b + b, cel.bind(d, c + c, cel.bind(e, d + d, e)))))`,
    ],
  ])('ends soon with %s', async (_, source) => {
    const { result, spentMs } = await spentOn(() => said(source));
    expect(result).toMatch(/^(refused|gave \d+|reject ExpressionFailed)$/);
    expect(spentMs).toBeLessThan(longestStallMs);
  });

  /* Over lists as a body of a megabyte holds them; each would take from seconds to hours. */
  const long = Array.from({ length: 100_000 }, (_, index) => index);
  it.each<[string, string]>([
    ['two loops in each other', 'body.long.map(a, body.long.filter(b, b == a).size())'],
    ['loops that find nothing', 'body.long.exists(a, body.long.exists(b, b < 0.0))'],
    ['loops that find all', 'body.long.all(a, body.long.all(b, b >= 0.0))'],
    ['loops that count', 'body.long.exists_one(a, body.long.exists_one(b, b == a))'],
    ['a filter before the map', 'body.long.map(a, body.long.all(b, b >= 0.0), a)'],
    ['an inner loop whose failure does not matter', 'body.long.all(a, body.long.all(b, b.none) || true)'],
    ['a loop that may be late', 'body.long.all(a, body.long.exists(b, b < 0.0) || true)'],
    ['a bound list', 'cel.bind(c, body.long, c.map(a, c.map(b, a + b)))'],
    ['an optional list', 'body.?long.orValue([]).map(a, body.?long.orValue([]).map(b, [a, b]))'],
    ['one loop that searches a list', 'body.long.map(a, -1.0 in body.long)'],
    ['one loop that compares lists', 'body.long.map(a, body.long == body.same)'],
    ['one loop that searches a text', "body.long.map(a, body.text.contains('b'))"],
  ])('ends in time: %s', async (_, source) => {
    const body = { long, same: [...long], text: 'a'.repeat(200_000) };
    const parsed = parseExpression(source);
    if (!parsed.ok) throw new Error(parsed.message);
    const { result, spentMs } = await spentOn((): unknown => {
      try {
        return parsed.expression.evaluate({ ...scope, body });
      } catch (error) {
        return error;
      }
    });
    expect(result).toMatchObject({ instruction: 'reject', code: 'TooSlow' });
    expect(spentMs).toBeLessThan(longestStallMs);
  });

  it('all expressions that a step asks of one message have one time together', async () => {
    const parsed = parseExpression('body.long.map(a, body.long.exists(b, b < 0.0))');
    if (!parsed.ok) throw new Error(parsed.message);
    const one = { ...scope, body: { long } };
    const codes: unknown[] = [];
    const { spentMs } = await spentOn(() => {
      for (let count = 0; count < 10; count += 1) {
        try {
          parsed.expression.evaluate(one);
        } catch (error) {
          codes.push((error as InstructionError).code);
        }
      }
    });
    expect(codes).toEqual(Array.from({ length: 10 }, () => 'TooSlow'));
    expect(spentMs).toBeLessThan(longestStallMs);
    // Another message has its own.
    expect(parsed.expression.evaluate({ ...scope, body: { long: [1, 2] } })).toEqual([false, false]);
  });

  it('control: what JavaScript inherits is there to be found', () => {
    const { constructor } = scope.body as object;
    expect(typeof (constructor as unknown as Record<string, unknown>)['constructor']).toBe('function');
  });
});
