import jsonata from 'jsonata';
import { describe, expect, it } from 'vitest';
import { jsonataProblem } from '../../../runtime/expr/jsonata.ts';
import { regExpProblem } from '../../../runtime/expr/linear-regexp.ts';
import { jsonataStep } from '../../../runtime/steps/jsonata.ts';
import { scriptStep } from '../../../runtime/steps/script.ts';
import { said, textOf, withStep } from '../steps/threads.ts';
import { evil } from './evil-regexps.ts';

/** As a literal of JSONata; nothing for what cannot be written as one. */
const literal = (source: string): string | undefined => {
  const text = `/${source.replaceAll('/', '\\/')}/`;
  try {
    jsonata(text);
    return text;
  } catch {
    return undefined;
  }
};
const literals = evil.flatMap((source) => literal(source) ?? []);

describe('regular expressions in JSONata', { timeout: 300_000 }, () => {
  it('there are many of them', () => expect(literals.length).toBeGreaterThanOrEqual(200));

  it('each is done, or refused with a reason, however the text ends that backtracking would take for ever on', async () => {
    // What an operator refuses comes this way all the same: made at run time.
    const expression = '$contains(body.text, $eval(body.literal))';
    const text = `${'a'.repeat(200)}!`;
    await withStep(jsonataStep, { expression }, async (step) => {
      for (const each of literals) {
        const source = each.slice(1, -1);
        // What is hundreds of characters long may be too deep for the stack of this engine, or take it too long to read.
        const usable = source.length > 300 ? /^gave|^reject (JsonataFailed|TooSlow)$/ : /^gave (true|false)$/;
        const expected = regExpProblem(source) === undefined ? usable : /^reject JsonataFailed$/;
        expect(await said(step, { text, literal: each }), each).toMatch(expected);
      }
    });
  });

  it('control: with the regular expressions of the engine itself it would take for ever', async () => {
    const code = 'return { body: /^(a+)+$/.test(message.body.text) };';
    await withStep(scriptStep, { code }, async (step) => {
      expect(await said(step, { text: `${'a'.repeat(200)}!` })).toMatch(/^reject (TooSlow|SandboxFailed)$/);
    });
  });

  it('they say what they say elsewhere', async () => {
    const expressions = [
      '$match(body.text, /([a-z]+)-(\\d+)?/)',
      '$match(body.text, /(?<word>[a-z]+)|(x)/i, 3)',
      '$contains(body.text, /^B/im)',
      '$contains(body.text, /^b/)',
      '$replace(body.text, /\\s+/, " ")',
      '$replace(body.text, /(\\w)(\\d)/, "$2$1$0$$")',
      '$replace(body.text, /[aeiou]/i, function($m) { $uppercase($m.match) & $m.start })',
      '$split(body.text, /[ ,]+/)',
      '$split(body.text, /\\n/, 1)',
      '$match(body.text, /^./)',
      '$match(body.text, /.$/m).{"m": match, "at": index}',
      '$match(body.text, /😀./).index',
      '/a-(1)/(body.text).groups',
      '(body.text ~> /b+/).end',
    ];
    const text = 'ab a-1 cd-22, ef-  gh\nB2\ta😀b zé';
    await withStep(jsonataStep, { expression: '{"it": $eval(body.expression)}' }, async (step) => {
      for (const expression of expressions) {
        const elsewhere: unknown = await jsonata(expression).evaluate({ body: { text } });
        const made: unknown = JSON.parse(await textOf(step, { text, expression }));
        expect(made, expression).toEqual(JSON.parse(JSON.stringify({ it: elsewhere })));
      }
    });
  });

  it('what cannot be used is said with its place, before it runs', () => {
    expect(jsonataProblem('body.a ~> $contains(/(?=a)/)')).toMatch(/look-around.*, line:1, col:\d+$/);
    expect(jsonataProblem('[1].(\n{"a": [$match(body.a, /(a)\\1/)]})')).toMatch(/back-references.*, line:2/);
    expect(jsonataProblem('$match(body.a, /(a)+/)')).toBeUndefined();
  });
});
