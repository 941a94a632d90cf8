import { describe, expect, it } from 'vitest';
import { scriptProblem } from '../../../runtime/expr/script.ts';
import type { Message } from '../../../runtime/message.ts';
import { scriptStep } from '../../../runtime/steps/script.ts';
import { stepConformance } from '../../conformance/step.ts';
import { longestStallMs, spentOn } from '../evil/spent.ts';
import { attempt, messageOf } from './harness.ts';
import { said, withStep } from './threads.ts';

stepConformance('script', {
  definition: scriptStep,
  config: { code: 'return { body: { no: message.body.no, all: [message.body] } };' },
  bad: [
    ['no script', {}],
    ['a script that is a list', { code: ['return message;'] }],
    ['a long one', { code: `//${'x'.repeat(16_384)}` }],
  ],
  passes: (index) => ({ no: index }),
});

const ran = (code: string, body: object = { text: 'a', list: [1, 2] }) =>
  withStep(scriptStep, { code }, (step) => said(step, body as never));

describe('what a script returns', { timeout: 300_000 }, () => {
  it.each<[string, string, string]>([
    ['the message as it came', 'return message;', 'gave {"n":1}'],
    ['a message that was changed in place', 'message.body.n += 1; return message;', 'gave {"n":2}'],
    ['a body that is null', 'return { body: null };', 'gave null'],
    [
      'undefined in objects and lists',
      'return { body: { a: undefined, b: [undefined, () => 1] } };',
      'gave {"b":[null,null]}',
    ],
    ['a body that is undefined is none: it stays', 'return { body: undefined };', 'gave {"n":1}'],
    ['a date', 'return { body: new Date(0) };', 'gave "1970-01-01T00:00:00.000Z"'],
    ['a number with a fraction', 'return { body: 0.1 + 0.2 };', 'gave 0.30000000000000004'],
    ['a field of the name __proto__', 'return { body: JSON.parse(\'{"__proto__": 1}\') };', 'gave {"__proto__":1}'],
    ['a lone surrogate', "return { body: '\\ud800' };", 'gave "\\ud800"'],
    ['NaN', 'return { body: [NaN] };', 'reject ScriptFailed'],
    ['Infinity in a variable', 'return { vars: { a: 1 / 0 } };', 'reject ScriptFailed'],
    ['a BigInt', 'return { body: 1n };', 'reject ScriptFailed'],
    ['a circle', 'const a = {}; a.a = a; return { body: a };', 'reject ScriptFailed'],
    ['a body that is not in a message', 'return { total: 1 };', 'reject ScriptFailed'],
    ['a text', "return 'a';", 'reject ScriptFailed'],
    ['a promise', 'return new Promise(() => undefined);', 'reject ScriptFailed'],
    ['attributes of its own', "return { attrs: { id: '2' } };", 'reject ScriptFailed'],
    ['attributes that are written', "message.attrs.id = '2'; return message;", 'reject ScriptFailed'],
    ['a header with capitals', "return { headers: { 'X-A': 'a' } };", 'reject HeaderNotText'],
    ['a header that is a list', "return { headers: { 'x-a': [1] } };", 'reject HeaderNotText'],
    ['a variable that was never declared', 'n = 1;', 'reject ScriptFailed'],
  ])('%s', async (_, code, expected) => expect(await ran(code, { n: 1 })).toBe(expected));

  it('says on which line it failed', async () => {
    const fails = withStep(scriptStep, { code: 'const a = 1;\nreturn a.b.c;' }, async (step) =>
      step.run(messageOf({}), attempt),
    );
    await expect(fails).rejects.toThrow(/script: TypeError: .* \(line 2\)/);
  });
  it('headers and variables that are not returned stay, and so do the bytes of the body', async () => {
    const message = messageOf(Buffer.from('{ "n": 1 }'), { headers: { 'x-a': '1' }, vars: { b: 2 } });
    const made = await withStep(scriptStep, { code: 'return {};' }, async (step) => step.run(message, attempt));
    expect(made).toMatchObject({ attrs: message.attrs, headers: { 'x-a': '1' }, vars: { b: 2 } });
    expect(Buffer.from((made as Message).body.bytes()).toString()).toBe('{ "n": 1 }');
  });
  it('nothing stays from one message to the next', async () => {
    const code =
      "globalThis.n = (globalThis.n ?? 0) + 1; Object.prototype.kept ??= 0; Object.prototype.kept += 1; const had = 'a'.trim !== undefined; String.prototype.trim = undefined; return { body: [n, {}.kept, had] };";
    await withStep(scriptStep, { code }, async (step) => {
      for (let count = 0; count < 3; count += 1) expect(await said(step, {})).toBe('gave [1,1,true]');
    });
  });
});

/* Scripts that want out find nothing of the host: every name that Node, V8 or the engine's own shell would give is absent. */
const host = [
  'process',
  'require',
  'module',
  'exports',
  'global',
  'Buffer',
  'console',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'fetch',
  'WebAssembly',
  'Atomics.wait',
  'navigator',
  'performance',
  'structuredClone',
  'std',
  'os',
  'print',
  'scriptArgs',
  'load',
  'gc',
  '__loadScript',
  'Deno',
  'Bun',
  'window',
  'self',
  'importScripts',
  'Worker',
  'XMLHttpRequest',
  'WebSocket',
  'parentPort',
];
const escapes: readonly (readonly [code: string, expected: RegExp])[] = [
  ["return { body: message.constructor.constructor('return process')() };", /^reject ScriptFailed$/],
  ["return { body: (() => {}).constructor('return this')().process };", /^gave \{/],
  ["return { body: typeof eval('this') };", /^gave "undefined"$/],
  ["return { body: typeof Function('return this')().require };", /^gave "undefined"$/],
  [
    'return { body: Object.getOwnPropertyNames(globalThis).filter((name) => /^(process|require|std|os)$/.test(name)) };',
    /^gave \[\]$/,
  ],
  ["import('fs').then((fs) => { throw fs; }); return message;", /^reject ScriptFailed$|^gave \{/],
  ["return import('node:fs');", /^reject ScriptFailed$/],
  ['return { body: arguments.callee };', /^reject ScriptFailed$/],
  ['return { body: arguments.callee.caller };', /^reject ScriptFailed$/],
  ['try { null.x } catch (error) { return { body: String(error.stack).includes("/") }; }', /^gave false$/],
  [
    'Error.prepareStackTrace = (_, sites) => sites.map((site) => site.getThis()); return { body: new Error().stack };',
    /^gave |^reject ScriptFailed$/,
  ],
  ["Object.prototype.toJSON = () => 'mine'; return message;", /^gave |^reject ScriptFailed$/],
  ["JSON.stringify = () => '{'; return message;", /^reject ScriptFailed$/],
  ["JSON.stringify = () => '[1]'; return message;", /^reject ScriptFailed$/],
  ['JSON.stringify = () => ({}); return message;', /^reject ScriptFailed$/],
  ["Array.prototype.map = () => [{ body: '1' }]; return message;", /^gave |^reject ScriptFailed$/],
  ['Object.keys = () => []; return { polluted: 1 };', /^gave |^reject ScriptFailed$/],
  ['return JSON.parse(\'{"__proto__": {"polluted": 1}}\');', /^reject ScriptFailed$/],
  ['return { vars: JSON.parse(\'{"__proto__": {"polluted": 1}}\') };', /^gave /],
  ['message.__proto__.polluted = 1; return message;', /^gave /],
  ['return new Proxy(message, { get() { throw 1; } });', /^reject ScriptFailed$/],
  ['return { get body() { while (true); } };', /^reject TooSlow$/],
  ['throw { get message() { while (true); } };', /^reject (TooSlow|ScriptFailed|SandboxFailed)$/],
  ['throw null;', /^reject ScriptFailed$/],
  ["throw { name: 'InternalError', message: 'out of memory' };", /^reject (ScriptFailed|TooMuchMemory)$/],
  ["throw Object.assign(new Error('a'), { stack: 'script:999999' });", /^reject ScriptFailed$/],
];
describe('hostile scripts', { timeout: 600_000 }, () => {
  it('see nothing of the host', async () => {
    const code = `return { body: ${JSON.stringify(host)}.filter((name) => { try { return eval(name) !== undefined; } catch { return false; } }) };`;
    expect(await ran(code)).toBe('gave []');
  });
  it.each(escapes)('%s', async (code, expected) => {
    expect(scriptProblem(code)).toBeUndefined();
    expect(await ran(code)).toMatch(expected);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it.each<[string, string, RegExp]>([
    ['a loop without end', 'while (true);', /^reject TooSlow$/],
    ['a loop that catches what ends it', 'for (;;) { try { for (;;); } catch {} }', /^reject TooSlow$/],
    ['a finally that goes on', 'try { for (;;); } finally { for (;;); }', /^reject TooSlow$/],
    ['promises without end', 'const f = () => Promise.resolve().then(f); f(); return message;', /^reject TooSlow$/],
    [
      'a generator without end',
      'function* g() { for (;;) yield 1; } return { body: [...g()] };',
      /^reject (TooSlow|TooMuchMemory)$/,
    ],
    ['a recursion', 'const f = (n) => 1 + f(n + 1); return { body: f(0) };', /^reject ScriptFailed$/],
    [
      'a recursion of JSON',
      'let a = []; for (let n = 0; n < 1e5; n += 1) a = [a]; return { body: a };',
      /^reject (ScriptFailed|TooSlow|TooMuchMemory)$/,
    ],
    ['a recursion of JSON.parse', "JSON.parse('['.repeat(1e5) + ']'.repeat(1e5));", /^reject ScriptFailed$/],
    ['a recursion of eval', "eval('('.repeat(1e5) + '1' + ')'.repeat(1e5));", /^reject ScriptFailed$/],
    ['a recursion of lists in eval', "eval('[-'.repeat(1e5));", /^reject ScriptFailed$/],
    [
      'a recursion of toString',
      'const a = []; a[0] = { toString: () => String(a) }; return { body: String(a) };',
      /^reject ScriptFailed$/,
    ],
    [
      'a deep regular expression',
      "return { body: new RegExp('('.repeat(1e5) + ')'.repeat(1e5)).test('a') };",
      /^reject (ScriptFailed|TooSlow)$/,
    ],
    [
      'a regular expression that backtracks',
      "return { body: /^(a+)+$/.test('a'.repeat(40) + '!') };",
      /^reject TooSlow$/,
    ],
    ['a list of everything', 'const a = []; for (;;) a.push({ a });', /^reject (TooMuchMemory|TooSlow)$/],
    ['one large list', 'return { body: new Array(1e8).fill(0) };', /^reject (TooMuchMemory|TooSlow)$/],
    ['one large text', "return { body: 'x'.repeat(1e9) };", /^reject (TooMuchMemory|ScriptFailed)$/],
    ['one large buffer', 'return { body: new Uint8Array(1e9).length };', /^reject TooMuchMemory$/],
    ['a text that doubles', "for (let s = '0123456789'; ; ) s += s;", /^reject (TooMuchMemory|ScriptFailed|TooSlow)$/],
    [
      'a number of many digits',
      'return { body: String(2n ** 10000000n) };',
      /^reject (TooMuchMemory|ScriptFailed|TooSlow)$/,
    ],
    ['a sort that never ends', 'return { body: [2, 1].sort(() => { for (;;); }) };', /^reject TooSlow$/],
    ['more than goes back', "return { body: 'x'.repeat(5e6) };", /^reject ScriptFailed$/],
    [
      'more messages than a step may make',
      'return Array.from({ length: 1e6 }, () => ({ body: 1 }));',
      /^reject (ScriptFailed|TooSlow|TooMuchMemory)$/,
    ],
  ])('%s', async (_, code, expected) => expect(await ran(code)).toMatch(expected));

  it('the thread that all messages share has next to nothing to do with it', async () => {
    await withStep(scriptStep, { code: 'for (;;);' }, async (step) => {
      const { result, spentMs } = await spentOn(() => said(step, {}));
      expect(result).toBe('reject TooSlow');
      expect(spentMs).toBeLessThan(longestStallMs);
    });
  });

  it('one message that takes too long costs the others of its batch nothing', async () => {
    const code = 'if (message.body.evil) for (;;); return { body: message.body.no };';
    await withStep(scriptStep, { code }, async (step) => {
      const all = Array.from({ length: 120 }, (_, no) => said(step, { no, evil: no === 30 }));
      const expected = Array.from({ length: 120 }, (_, no) => (no === 30 ? 'reject TooSlow' : `gave ${no}`));
      expect(await Promise.all(all)).toEqual(expected);
    });
  });
});

describe('what is wrong with a script is said with its place', () => {
  it.each([
    ['return 1 +;', /line:1, col:11/, 'on the first line'],
    ['const a = 1;\nreturn {a;', /line:2, col:10/, 'on another'],
    ['}); ({', /line:1, col:1/, 'a bracket that would end the function'],
    ['await 1;', /await/, 'there is nothing to wait for'],
    ["import fs from 'fs';", /import/, 'there are no modules'],
    ['with (message) {}', /Strict mode/, 'strict mode'],
    ['/(/', /regular expression/, 'no regular expression'],
    [`${'('.repeat(8_000)}1${')'.repeat(8_000)}`, /^not JavaScript|^undefined$/, 'deep parentheses'],
  ])('%.40s', (source, text) => expect(String(scriptProblem(source))).toMatch(text));
  it('nothing is wrong with one that is right', () => expect(scriptProblem('return message;')).toBeUndefined());
});
