import { describe, expect, it } from 'vitest';
import { jsonataProblem } from '../../../runtime/expr/jsonata.ts';
import { jsonataStep } from '../../../runtime/steps/jsonata.ts';
import { stepConformance } from '../../conformance/step.ts';
import { said, textOf, withStep } from './threads.ts';

stepConformance('jsonata', {
  definition: jsonataStep,
  config: { expression: '{"no": body.no, "all": [body]}' },
  bad: [
    ['no expression', {}],
    ['an expression that is a list', { expression: ['body'] }],
    ['a variable with a name that cannot be asked for', { expression: 'body', as: 'a-b' }],
    ['a long one', { expression: `"${'x'.repeat(16_384)}"` }],
  ],
  passes: (index) => ({ no: index }),
});

const endless = '($f := function($n) { $f($n + 1) }; $f(0))';
/* Expressions that want out, or want too much: each is a dead letter with a code, or nothing but a name; the process is as it was. */
const names = ['constructor', '__proto__', 'prototype', '__lookupGetter__', 'toString', 'hasOwnProperty'];
const escapes: readonly string[] = [
  ...names.flatMap((name) => [`body.${name}`, `body.list.${name}`, `body.text.${name}`, `$sum.${name}`, `$$.${name}`]),
  ...names.map((name) => `$lookup(body, "${name}")`),
  ...names.map((name) => `$lookup($sum, "${name}")`),
  'body.constructor.constructor("return process")()',
  '$sum.constructor("return process")()',
  '$lookup($lookup(body, "constructor"), "constructor")',
  '(function() {1}).constructor',
  '($f := function() {1}; $f.environment)',
  '($f := function() {1}; $f.environment.bind("a", 1))',
  '($f := function() {1}; $f.body)',
  '($f := function() {1}; $f.apply)',
  '$sum.implementation',
  '$sum.implementation.constructor',
  '$lookup($sum, "implementation")',
  'body ~> |$|{"__proto__": {"polluted": 1}}|',
  'body ~> |$|{"constructor": {"prototype": {"polluted": 1}}}|',
  'body ~> |list|{"a": 1}, ["__proto__"]|',
  '$merge([body, {"__proto__": {"polluted": 1}}])',
  '{"__proto__": {"polluted": 1}}.polluted',
  '$each(body, function($v, $k) { $v.constructor })',
  '$sift(body, function($v, $k) { $k = "constructor" })',
  '$spread(body).constructor',
  '$keys($sum)',
  '$eval("process")',
  '$eval("globalThis")',
  '$eval("$sum.constructor")',
  '$process',
  '$globalThis',
  'process.exit(1)',
  'globalThis',
  'require("fs")',
  '$require("fs")',
  '$__evaluate_entry',
  '$clone.constructor',
  '($clone := function($x) { $x.constructor }; body ~> |$|{"a": 1}|)',
  '($toString := body.constructor; $toString)',
  '$map(body.list, $sum.constructor)',
  '$replace("a", /a/, function($m) { $m.constructor })',
  '$match("a", /a/).constructor',
  '$error($sum.constructor)',
  '$assert(false, $sum.constructor)',
  '$string($sum)',
  '[$sum, $count]',
  '{"f": $sum}',
  '$formatNumber(1, "0", {"__proto__": {"a": 1}})',
];
/** What a name that objects inherit may give at most: nothing, a text or a number of the message, or the own name given back. */
const harmless = /^reject (NothingMapped|JsonataFailed)$|^gave ("[\w ,]*"|\[?"[\w",]*\]?|\{.*\})$/;

describe('hostile expressions', { timeout: 300_000 }, () => {
  it.each(escapes)('%s', async (expression) => {
    if (jsonataProblem(expression) !== undefined) return;
    const result = await withStep(jsonataStep, { expression }, (step) => said(step, { text: 'a', list: [1, 2] }));
    expect(result).toMatch(harmless);
    expect(result).not.toMatch(/native|function|process|polluted":1\}$/);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it.each<[string, string, RegExp]>([
    ['a recursion without end', endless, /^reject (TooSlow|TooMuchMemory)$/],
    [
      'a recursion that needs its stack',
      '($f := function($n) { 1 + $f($n + 1) }; $f(0))',
      /^reject (JsonataFailed|TooMuchMemory|TooSlow)$/,
    ],
    ['a list of all numbers', '[1..10000000]', /^reject (JsonataFailed|TooMuchMemory|TooSlow)$/],
    [
      'loops in each other',
      '$count([1..3000].($a := $; [1..3000].($a * $)))',
      /^reject (TooSlow|TooMuchMemory|JsonataFailed)$/,
    ],
    [
      'a text that doubles',
      '$reduce([1..60], function($s) { $s & $s }, "0123456789")',
      /^reject (JsonataFailed|TooMuchMemory|TooSlow)$/,
    ],
    ['a text that is padded', '$pad("", 900000000)', /^reject (JsonataFailed|TooMuchMemory|TooSlow)$/],
    ['more than goes back', '$pad("", 5000000)', /^reject (JsonataFailed|TooMuchMemory)$/],
    ['a function', '$sum', /^reject (NothingMapped|JsonataFailed)$/],
    ['a number beyond all', '1e308 * 10', /^reject JsonataFailed$/],
    ['a division by zero', '1 / 0', /^reject JsonataFailed$/],
  ])('%s', async (_, expression, code) => {
    expect(await withStep(jsonataStep, { expression }, (step) => said(step, {}))).toMatch(code);
  });

  it('one message that takes too long costs the others of its batch nothing', async () => {
    const expression = `body.evil ? ${endless} : body.no`;
    await withStep(jsonataStep, { expression }, async (step) => {
      const all = Array.from({ length: 120 }, (_, no) => said(step, { no, evil: no === 30 }));
      const expected = Array.from({ length: 120 }, (_, no) => (no === 30 ? 'reject TooSlow' : `gave ${no}`));
      expect(await Promise.all(all)).toEqual(expected);
    });
  });

  it('nothing stays from one message to the next', async () => {
    const expression = '($n := $exists($n) ? $n + 1 : 1; {"n": $n, "random": $exists($kept)})';
    await withStep(jsonataStep, { expression }, async (step) => {
      for (let count = 0; count < 3; count += 1)
        expect(JSON.parse(await textOf(step, {}))).toEqual({ n: 1, random: false });
    });
  });
});

describe('what is wrong with an expression is said with its place', () => {
  it.each([
    ['body.', /line:1, col:5/, 'nothing after the point'],
    ['{\n  "a": body.a,\n  "b": )\n}', /line:3/, 'a bracket on the third line'],
    ['$sum(', /line:1/, 'an open call'],
    ['"text', /line:1/, 'an open text'],
    ['/(/', /JSONata/, 'no regular expression'],
    [`${'('.repeat(8_000)}1${')'.repeat(8_000)}`, /not a JSONata expression/, 'deep parentheses'],
  ])('%.40s', (source, text) => expect(jsonataProblem(source)).toMatch(text));
  it('nothing is wrong with one that is right', () =>
    expect(jsonataProblem('body.lines{kind: $sum(qty * price)}')).toBeUndefined());
});
