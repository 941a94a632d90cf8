import { describe, expect, it } from 'vitest';
import { parseExpression } from '../../../runtime/expr/cel.ts';
import { linearRegExp, regExpProblem } from '../../../runtime/expr/linear-regexp.ts';
import { evil } from './evil-regexps.ts';
import { longestStallMs, spentOn } from './spent.ts';

/* Each is refused with a reason, or done with a text that is made to fail at its end, in proportion to its length. */
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
