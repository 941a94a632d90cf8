import { afterAll, describe, expect, it } from 'vitest';
import { startMockServer } from '../../../cli/local/mock-server.ts';
import type { ExampleAnswer } from '../../../runtime/connector.ts';
import type { JsonValue, Message } from '../../../runtime/message.ts';
import { callStep } from '../../../runtime/steps/call.ts';
import { mapStep } from '../../../runtime/steps/map.ts';
import { stepConformance } from '../../conformance/step.ts';
import { messageOf, openStep } from './harness.ts';
import { crmOn } from './other-side.ts';

const server = await startMockServer();
afterAll(() => server.close());
const http = { connectionRef: { name: 'crm' }, path: '/customers/{id}', values: { id: '=body.id' } };

stepConformance('call', {
  definition: callStep,
  config: { as: 'customer', http: { connectionRef: { name: 'crm' }, path: '/customers', body: '=body' } },
  bad: [
    ['no variable', { http }],
    ['a variable that no expression can name', { as: 'the-customer', http }],
    ['no Connection', { as: 'a', http: { path: '/a' } }],
    ['a name without value', { as: 'a', http: { ...http, values: {} } }],
    ['a value without name', { as: 'a', http: { ...http, values: { id: 1, more: 2 } } }],
    ['credentials', { as: 'a', http: { ...http, headers: { authorization: 'x' } } }],
  ],
  passes: (index) => ({ id: index }),
  context: crmOn(server, []).context,
});

describe('call', () => {
  const asked = async (config: object, body: JsonValue, answers: readonly ExampleAnswer[] = [{ status: 200 }]) => {
    const { context, calls } = crmOn(server, answers);
    const step = await openStep(callStep, { as: 'customer', http: { ...http, ...config } }, context);
    const made = (await step(messageOf(body)).catch((error: unknown) => error)) as Message;
    return { made, calls: calls(), step };
  };

  it.each([
    ['a slash stays within its part', 'a/b', '/api/customers/a%2Fb'],
    ['a question mark begins no query', 'a?b=c#d', '/api/customers/a%3Fb%3Dc%23d'],
    ['dots that are only a part of it are fine', 'a..b', '/api/customers/a..b'],
    ['a line break is no line', 'a\r\nb: c', '/api/customers/a%0D%0Ab%3A%20c'],
    ['half a character', 'a\ud800', '/api/customers/a%EF%BF%BD'],
    ['a number', 7, '/api/customers/7'],
  ])('%s', async (_, id, path) => {
    expect((await asked({}, { id })).calls.map((call) => call.path)).toEqual([path]);
  });

  it.each([[''], ['.'], ['..'], [null], [{}], [[1]]])('refuses %j in a path, and asks nobody', async (id) => {
    const { made, calls } = await asked({}, { id });
    expect(made).toMatchObject({ instruction: 'reject', code: 'InvalidPath' });
    expect(calls).toEqual([]);
  });

  it('keeps what the answer says: values, text, nothing', async () => {
    const json = { 'content-type': 'application/json; charset=utf-8' };
    const table: readonly (readonly [ExampleAnswer, unknown])[] = [
      [{ status: 200, headers: json, body: { a: [1] } }, { a: [1] }],
      [{ status: 201, body: { a: 1 } }, { a: 1 }],
      [{ status: 200, headers: { 'content-type': 'text/plain' }, text: '7' }, '7'],
      [{ status: 200, text: 'plain' }, 'plain'],
      [{ status: 204 }, null],
    ];
    for (const [answer, value] of table)
      expect((await asked({}, { id: 1 }, [answer])).made.vars).toEqual({ customer: value });
  });

  it.each([
    [
      { status: 503, headers: { 'retry-after': '7' } },
      { instruction: 'retry', code: 'HttpStatus503', afterMs: 7_000 },
    ],
    [{ status: 401 }, { instruction: 'retry', code: 'HttpStatus401', failure: 'fatal' }],
    [{ status: 404 }, { instruction: 'reject', code: 'HttpStatus404' }],
    [
      { status: 200, headers: { 'content-type': 'application/json' }, text: '{' },
      { instruction: 'retry', code: 'AnswerNotJson' },
    ],
    [
      { status: 200, text: 'x'.repeat(1024 * 1024 + 1) },
      { instruction: 'reject', code: 'AnswerTooLarge' },
    ],
  ] as const)('says what the engine is to do', async (answer, error) => {
    expect((await asked({}, { id: 1 }, [answer])).made).toMatchObject(error);
  });

  it('gives a repeat the same key, and another request of the message another one', async () => {
    const { context, calls } = crmOn(server, []);
    const one = await openStep(callStep, { as: 'one', http }, context);
    const two = await openStep(callStep, { as: 'two', http }, context);
    const first = (await one(messageOf({ id: 1 }))) as Message;
    await one(messageOf({ id: 1 }));
    const both = (await two(first)) as Message;
    const [a, again, b] = calls().map(({ headers }) => headers['idempotency-key']);
    expect(again).toBe(a);
    expect(b).not.toBe(a);
    expect(Object.keys(both.vars ?? {})).toEqual(['one', 'two']);
  });

  it('leaves the variable to later expressions, also behind a new body', async () => {
    const { made } = await asked({}, { id: 1 }, [{ status: 200, body: { name: 'Ada' } }]);
    const map = await openStep(mapStep, { body: { name: '=vars.customer.name' } });
    const mapped = (await map(made)) as Message;
    expect(mapped.body.value()).toEqual({ name: 'Ada' });
    expect(mapped.vars).toEqual(made.vars);
  });
});
