import { describe, expect, it } from 'vitest';
import { parseExpression } from '../../../runtime/expr/cel.ts';
import { linearRegExp, regExpProblem } from '../../../runtime/expr/linear-regexp.ts';
import { longestStallMs, spentOn } from './spent.ts';

/*
 * Regular expressions that take an engine with backtracking minutes, or for ever. Each is refused with a reason, or done with a text that
 * is made to fail at its end, in proportion to its length.
 */
const atoms = ['a', '[a-z]', '\\w', '.', '(a|b)', '(?:a|a)', '(a|aa)', '(\\d|\\w)', '[^b]'];
const evil = [
  ...atoms.flatMap((atom) => [
    `^(${atom}+)+$`,
    `^(${atom}*)*$`,
    `^(${atom}+)*$`,
    `^(${atom}?)*$`,
    `(${atom}+)+!`,
    `^(${atom}+)+?$`,
    `^((${atom}+)+)+$`,
    `^(${atom}{1,9}){1,9}$`,
    `^(${atom}|${atom})*$`,
    `^(${atom}|${atom}${atom})+$`,
    `${atom}*${atom}*${atom}*${atom}*${atom}*!`,
    `^(${atom}*)*(${atom}*)*!$`,
    `(.*)${atom}(.*)${atom}(.*)${atom}!`,
    `^${atom}+${atom}+${atom}+$`,
    `(?:${atom}+){2,}!`,
    `^(${atom}+\\s?)+$`,
    `(?i)^(${atom}+)+$`,
    `(x+x+)+y|(${atom}+)+z`,
    // What only backtracking can do.
    `^(${atom}+)\\1+$`,
    `^(?=(${atom}+)+$)`,
    `(?<!${atom}+)${atom}`,
    `(?>${atom}+)+$`,
  ]),
  '(.*a){25}',
  '(a?){30}a{30}',
  '^(([a-z])+.)+[A-Z]([a-z])+$',
  '^([a-zA-Z0-9])(([\\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}(([a-z]{2,3})|([a-z]{2,3}[.]{1}[a-z]{2,3}))$',
  '^\\s+|\\s+$',
  '(a{1000}){1000}',
  'a{100000}',
  '((a{100}){100}){100}',
  '(((((a*)*)*)*)*)*b',
  `${'('.repeat(400)}a${')'.repeat(400)}`,
  `${'(a*'.repeat(200)}${')*'.repeat(200)}`,
  `${'a?'.repeat(400)}b`,
  `(${Array.from({ length: 200 }, (_, index) => 'a'.repeat(1 + (index % 3))).join('|')})*b`,
  '(',
  'a**',
  '[z-a]',
  '\\',
  '(?P<n>a)(?P<n>b)',
  '\\p{Nope}',
  '[[:nope:]]',
  'a'.repeat(1_001),
  '(?<a>.)\\k<a>',
  '\\C*',
  '(?:)*',
  '()*',
  '(|a)*b',
  '(^)*b',
  '($)*b',
  '\\b*b',
];
const texts = ['a'.repeat(5_000), `${'a'.repeat(5_000)}!`, `${'ab '.repeat(1_500)}\n`, '\ud800'.repeat(1_000), ''];

describe('regular expressions', () => {
  it('there are many of them', () => expect(evil.length).toBeGreaterThanOrEqual(200));

  it.each(evil.map((source) => [source.length > 60 ? `${source.slice(0, 57)}...` : source, source]))(
    '%s',
    async (_, source) => {
      const { result: problem, spentMs: reading } = await spentOn(() => regExpProblem(source));
      expect(reading).toBeLessThan(longestStallMs);
      if (problem !== undefined) {
        expect(problem).toMatch(/^(not a regular expression|a regular expression has at most)/);
        return;
      }
      const compiled = linearRegExp(source);
      for (const text of texts) {
        const { spentMs } = await spentOn(() => compiled.test(text));
        expect(spentMs).toBeLessThan(longestStallMs);
      }
    },
  );

  it('control: this engine of Node takes for ever what is linear here', async () => {
    const twice = async (length: number) => (await spentOn(() => /^(a+)+$/.test(`${'a'.repeat(length)}!`))).spentMs;
    expect(await twice(24)).toBeGreaterThan(4 * (await twice(18)));
  });

  it.each(['body.a.matches("^(a+)+$")', 'matches(body.a, "a")', 'body.l.exists(x, x.matches("a"))'])(
    'no expression has those that backtrack: %s',
    (source) => expect(parseExpression(source)).toMatchObject({ ok: false }),
  );
});
