import { describe, expect, it } from 'vitest';
import type { ExpressionScope } from '../../../runtime/connector.ts';
import { InstructionError } from '../../../runtime/errors.ts';
import { parseExpression } from '../../../runtime/expr/cel.ts';

const scope: ExpressionScope = {
  body: {
    qty: 3,
    price: 1.5,
    note: null,
    name: 'Ada',
    country: 'FI',
    index: 0,
    lines: [
      { sku: 'a', qty: 1 },
      { sku: 'b', qty: 2 },
    ],
  },
  headers: { 'x-tenant': 'acme' },
  attrs: { id: '1', type: 'shop.order' },
  vars: {},
  error: null,
  meta: { attempt: 1 },
};

const evaluate = (source: string): unknown => {
  const parsed = parseExpression(source);
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.expression.evaluate(scope);
};

describe('expressions compute what users of JSON expect', () => {
  it.each([
    ['body.qty * 2', 6, 'a JSON number times an int literal'],
    ['2 * body.qty', 6, 'the same the other way round'],
    ['body.qty * 2.5', 7.5, 'a JSON number times a double literal'],
    ['2 * 2.5', 5, 'mixed literals'],
    ['body.qty + 1 - 0.5', 3.5, 'a chain of mixed kinds'],
    ['body.qty / 2', 1.5, 'JSON numbers divide as numbers'],
    ['7 / 2', 3, 'int literals divide as CEL says'],
    ['body.qty % 2', 1, 'remainder of a JSON number'],
    ['body.lines.size()', 2, 'size is a JSON number, never a BigInt'],
    ['size(body.name)', 3, 'the function form of size'],
    ['body.lines.size() * body.price', 3, 'size in arithmetic with a JSON number'],
    ['body.lines.size() == 2.0', true, 'size compared with a double literal'],
    ['body.qty > 2', true, 'comparison with an int literal'],
    ['body.qty == 3', true, 'equality of a JSON number and an int literal'],
    ['body.qty in [1, 2, 3]', true, 'membership among int literals'],
    ["{'id': attrs.id, 'n': 1, 'list': [1, 'x', 2.5, null]}", { id: '1', n: 1, list: [1, 'x', 2.5, null] }, 'mixed'],
    [
      "body.lines.map(l, {'sku': l.sku, 'n': l.qty * 2})",
      [
        { sku: 'a', n: 2 },
        { sku: 'b', n: 4 },
      ],
      'reshaping',
    ],
    ['body.lines.filter(l, l.qty > 1).map(l, l.sku)', ['b'], 'filter and map'],
    ['body.qty > 2 ? 1 : 2.5', 1, 'branches of different numeric kinds'],
    ["body.qty > 5 ? 1 : 'few'", 'few', 'branches of different types'],
    ['body.?discount.orValue(0)', 0, 'a default for a missing field'],
    ['body.?discount', undefined, 'an absent optional is nothing'],
    ['[body.?discount, 1]', [1], 'an absent optional in a list is left out'],
    ['has(body.discount)', false, 'presence test'],
    ['body.note == null', true, 'null is a value'],
    ["headers['x-tenant']", 'acme', 'header names with dashes'],
    ['body.lines[body.index].sku', 'a', 'an index that came from JSON'],
    ['timestamp("2026-01-02T03:04:05Z")', '2026-01-02T03:04:05.000Z', 'timestamps leave as text'],
    ['duration("90s")', '90s', 'durations leave as text'],
    ['b"abc"', 'YWJj', 'bytes leave as base64'],
    ['5u', 5, 'unsigned ints leave as numbers'],
    ['{1: 2}', { 1: 2 }, 'keys become text'],
    ['-body.qty', -3, 'negation'],
    ['body', scope.body, 'the whole body'],
  ])('%s is %j (%s)', (source, expected) => {
    expect(evaluate(source)).toEqual(expected);
  });

  it('shares parts of the body instead of copying them', () => {
    expect(evaluate('body.lines')).toBe((scope.body as { lines: unknown }).lines);
  });
});

describe('expressions that cannot run are refused when they are read', () => {
  it.each([
    ['body +', 'not a CEL expression', 'a syntax error'],
    ['total > 10', 'Unknown variable: total', 'a variable that does not exist'],
    ['"a" + 1', 'no such overload', 'types that never fit'],
    ['nope(1)', 'nope', 'a function that does not exist'],
    ['body.name.matches("^(a+)+$")', 'matches() is not available', 'a regular expression can block for minutes'],
    ['body.lines.exists(l, l.sku.matches("a"))', 'matches() is not available', 'the same inside a loop'],
    [
      'body.lines.map(a, body.lines.map(b, body.lines.map(c, 1)))',
      'nested more than 2 loops',
      'cubic work on a large body',
    ],
    [`body.name == "${'x'.repeat(4096)}"`, 'at most 4096 characters', 'a bounded length'],
    [`${'('.repeat(100)}1${')'.repeat(100)}`, 'not a CEL expression', 'a bounded depth'],
  ])('%.60s: %s (%s)', (source, message) => {
    const parsed = parseExpression(source);
    expect(parsed.ok ? 'accepted' : parsed.message).toContain(message);
  });
});

describe('failures are rejections that name the place', () => {
  it.each([
    ['body.customer', 'body.customer', 'a missing field'],
    ['body.lines[0].price.net', 'body.lines[0].price', 'the missing part of a longer path'],
    ['body.lines[7]', 'body.lines[7]', 'an index beyond the end'],
    ['body.name + body.qty', 'body.name + body.qty', 'types that do not fit'],
    ['body.qty / 0', 'JSON cannot hold', 'infinity is not JSON'],
    ['1 / 0', 'division by zero', 'integer division by zero'],
    ['9007199254740993', 'too large for a JSON number', 'no silent loss of digits'],
    ['body.constructor', 'body.constructor', 'only own fields are seen'],
    ['body.__proto__', 'body.__proto__', 'prototypes are not seen'],
    ['type(1)', 'JSON cannot hold', 'a type is not JSON'],
  ])('%s names %s (%s)', (source, place) => {
    let thrown: unknown;
    try {
      evaluate(source);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(InstructionError);
    expect(thrown).toMatchObject({ instruction: 'reject', code: 'ExpressionFailed' });
    expect((thrown as Error).message).toContain(place);
  });
});
