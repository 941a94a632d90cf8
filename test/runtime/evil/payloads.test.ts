import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MockServer, startMockServer } from '../../../cli/local/mock-server.ts';
import { catalog } from '../../../runtime/catalog.ts';
import type { OpenStep, StepDefinition } from '../../../runtime/connector.ts';
import { createTurn } from '../../../runtime/engine/turn.ts';
import { InstructionError } from '../../../runtime/errors.ts';
import { Body } from '../../../runtime/message.ts';
import { openStep } from '../../conformance/step.ts';
import { attempt, messageOf } from '../steps/harness.ts';
import { crmOn } from '../steps/other-side.ts';
import { longestStallMs, longestTurnOf, sharedNames, spentOn } from './spent.ts';

/* Bodies that nobody sends by mistake. Each step lets them through or rejects them with a code, and is done soon. */
const nested = (open: string, close: string, levels: number) => `${open.repeat(levels)}1${close.repeat(levels)}`;
const text = (body: string) => Buffer.from(body);
const payloads: readonly (readonly [why: string, body: Uint8Array])[] = [
  ['nothing', new Uint8Array()],
  ['a truncated object', text('{"a":{"b":[1,2')],
  ['a truncated text', text('{"a":"b')],
  ['a truncated escape', text('{"a":"\\u12')],
  ['two values', text('{}{}')],
  ['a comment', text('/*a*/{}')],
  ['a trailing comma', text('{"a":1,}')],
  ['NaN', text('{"a":NaN}')],
  ['a byte order mark', Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), text('{"a":1}')])],
  ['UTF-16', Buffer.from('{"a":1}', 'utf16le')],
  ['an invalid byte', Buffer.from([0x22, 0xff, 0x22])],
  ['a character that is cut', Buffer.from([0x22, 0xe2, 0x82, 0x22])],
  ['an overlong slash', Buffer.from([0x22, 0xc0, 0xaf, 0x22])],
  ['a surrogate as UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
  ['lone surrogates, escaped', text('{"a":"\\ud800","b":["\\udc00\\ud800"]}')],
  ['a NUL', text('{"a":"\\u0000","\\u0000":1}')],
  ['a control character', text('{"a":"\u0001"}')],
  ['10 000 lists in each other', text(nested('[', ']', 10_000))],
  ['10 000 objects in each other', text(nested('{"a":', '}', 10_000))],
  ['100 000 lists in each other', text(nested('[', ']', 100_000))],
  ['100 000 objects in each other', text(nested('{"a":', '}', 100_000))],
  ['500 000 lists that nobody closes', text('['.repeat(500_000))],
  ['__proto__', text('{"__proto__":{"polluted":1},"a":{"__proto__":{"polluted":1}}}')],
  ['__proto__ that is no object', text('{"__proto__":null,"a":{"__proto__":7}}')],
  ['constructor.prototype', text('{"constructor":{"prototype":{"polluted":1}},"a":{"constructor":1}}')],
  ['names of what all objects have', text('{"toString":1,"valueOf":"x","hasOwnProperty":null,"toJSON":1,"then":1}')],
  ['a length that lies', text('{"a":{"length":4294967295,"0":1}}')],
  ['a number beyond all', text('{"a":1e999,"b":-1e999}')],
  ['a number of 100 000 digits', text(`{"a":${'9'.repeat(100_000)}}`)],
  ['a text of 900 KB', text(`{"a":"${'x'.repeat(900_000)}"}`)],
  ['escapes of 900 KB', text(`{"a":"${'\\u00e4'.repeat(150_000)}"}`)],
  ['a name of 900 KB', text(`{"${'a'.repeat(900_000)}":1}`)],
  ['50 000 names', text(`{${Array.from({ length: 50_000 }, (_, index) => `"k${index}":1`).join()}}`)],
  ['50 000 times the same name', text(`{${'"a":1,'.repeat(50_000)}"a":2}`)],
  ['a list of 300 000 numbers', text(`[${'1,'.repeat(300_000)}1]`)],
  ['a list of 100 000 empty lists', text(`{"a":[${'[],'.repeat(100_000)}[]]}`)],
];

const configs: Readonly<Record<string, unknown>> = {
  filter: { when: "has(body.a) && body.a != 'x'" },
  choice: { cases: [{ when: 'body.a == 1', flow: 'f' }] },
  map: { body: { all: '=body', a: '=body.?a' } },
  set: { body: { b: { c: '=body.?a' } }, headers: { 'x-a': '=attrs.id' } },
  remove: { fields: ['a.*', '*.b', 'constructor', '__proto__.polluted'] },
  validate: { schema: { type: 'object', additionalProperties: { type: ['number', 'string', 'object'] } } },
  split: { items: 'body' },
  dedupe: { key: 'body.a', window: '1h' },
  aggregate: { key: "'all'", until: { count: 3, when: 'body.size() == 2 && body[0] == body[1]', timeout: '1m' } },
  parallel: { branches: [{ name: 'one', flow: 'f' }], timeout: '5s' },
  delay: { until: 'body.a' },
  throttle: { rate: 1_000_000, per: '1s', burst: 1_000 },
  resequence: { key: "'all'", number: '1', first: 1, timeout: '1m', late: 'Drop' },
  checkpoint: {},
  publish: { type: 'evil.came', body: { all: '=body', a: '=body.?a' } },
  tap: { flow: 'f' },
  log: { text: 'came', fields: { all: '=body' } },
  template: { text: '{{ body.a }}{% for one in body.b limit: 10 %}{{ one }}{% endfor %}' },
  jsonata: { expression: '{"a": a, "all": $}' },
  script: { code: 'return { body: { a: message.body && message.body.a, all: message.body } };' },
  call: { as: 'told', http: { connectionRef: { name: 'crm' }, path: '/all', body: '=body' } },
  lookup: {
    as: 'told',
    http: { connectionRef: { name: 'crm' }, path: '/{a}', values: { a: '=body.a' } },
    cache: { for: '1h' },
  },
};

let server: MockServer;
let before: unknown;
/** Each works on all of them, as in a worker: what one body does to a step, the next one meets. */
const steps = new Map<string, OpenStep>();
beforeAll(async () => {
  server = await startMockServer();
  before = sharedNames();
  const { context } = crmOn(server, []);
  for (const [name, config] of Object.entries(configs)) {
    const definition = catalog.steps.get(name) as StepDefinition;
    steps.set(name, await openStep({ definition, config, context }));
    // What runs for the first time is compiled: that is nobody's message.
    await through(name, text('{"a":{"b":1}}'));
  }
});
afterAll(async () => {
  for (const step of steps.values()) await step.close?.();
  await server.close();
});

const through = async (name: string, body: Uint8Array): Promise<string> => {
  try {
    const result = await (steps.get(name) as OpenStep).run(messageOf(body), attempt);
    const made = result === undefined ? [] : 'attrs' in result ? [result] : result;
    let count = 0;
    for (const message of made) {
      // What a sink does with it.
      message.body.bytes();
      count += 1;
      if (count > 10_000) break;
    }
    return 'passed';
  } catch (error) {
    return error instanceof InstructionError ? `${error.instruction} ${error.code}` : String(error);
  }
};

it('every step is tried', () => expect(Object.keys(configs).toSorted()).toEqual([...catalog.steps.keys()].toSorted()));

describe.each(Object.keys(configs))('%s', (name) => {
  it.each(payloads)('%s', async (_, body) => {
    const { result, spentMs } = await spentOn(() => through(name, body));
    expect(result).toMatch(/^(passed|reject [A-Z][A-Za-z0-9]+)$/);
    expect(spentMs).toBeLessThan(longestStallMs);
    expect(sharedNames()).toEqual(before);
  });
});

describe('split, of a body that comes in pieces', () => {
  const takenApart = async (whole: Uint8Array): Promise<string> => {
    const step = await openStep({
      definition: catalog.steps.get('split') as StepDefinition,
      config: { items: 'body' },
    });
    const read = async function* () {
      for (let at = 0; at < whole.length; at += 4_096) yield whole.subarray(at, at + 4_096);
    };
    const turn = createTurn();
    try {
      const body = Body.inPieces({ bytes: whole.length, read });
      for await (const { body: item } of step.takeApart?.({ ...messageOf(null), body }, attempt) ?? []) {
        item.bytes();
        // As the engine does between two of them.
        if (turn.isOver()) await turn.next();
      }
      return 'passed';
    } catch (error) {
      return error instanceof InstructionError ? `${error.instruction} ${error.code}` : String(error);
    }
  };
  it.each(payloads)('%s', async (_, body) => {
    const { result, turnMs } = await longestTurnOf(() => takenApart(body));
    expect(result).toMatch(/^(passed|reject [A-Z][A-Za-z0-9]+)$/);
    expect(turnMs).toBeLessThan(longestStallMs);
    expect(sharedNames()).toEqual(before);
  });
});

it('control: a name more on a shared object is seen, and so is time that was spent', async () => {
  const shared = { polluted: 0 };
  const clean = sharedNames([shared]);
  shared.polluted = 1;
  expect(sharedNames([shared])).not.toEqual(clean);
  const { spentMs } = await spentOn(() => {
    const { user } = process.threadCpuUsage();
    while (process.threadCpuUsage().user - user < 2 * longestStallMs * 1_000) JSON.parse('[1]');
  });
  expect(spentMs).toBeGreaterThan(longestStallMs);
});
