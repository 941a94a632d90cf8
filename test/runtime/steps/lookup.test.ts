import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { startMockServer } from '../../../cli/local/mock-server.ts';
import type { ExampleAnswer } from '../../../runtime/connector.ts';
import type { Message } from '../../../runtime/message.ts';
import { lookupStep } from '../../../runtime/steps/lookup.ts';
import { stepConformance } from '../../conformance/step.ts';
import { attemptOf } from '../attempt.ts';
import { messageOf, scope, silent } from './harness.ts';
import { crmOn } from './other-side.ts';

const server = await startMockServer();
afterAll(() => server.close());
const http = { connectionRef: { name: 'crm' }, path: '/customers/{id}', values: { id: '=body.id' } };

stepConformance('lookup', {
  definition: lookupStep,
  config: { as: 'customer', http, cache: { for: '1h' } },
  bad: [
    ['no cache', { as: 'a', http }],
    ['a cache of nothing', { as: 'a', http, cache: { for: '1h', entries: 0 } }],
    ['a method', { as: 'a', http: { ...http, method: 'POST' }, cache: { for: '1h' } }],
    ['a name without value', { as: 'a', http: { ...http, values: {} }, cache: { for: '1h' } }],
  ],
  passes: (index) => ({ id: index }),
  context: crmOn(server, []).context,
});

describe('lookup', () => {
  afterEach(() => void vi.restoreAllMocks());
  const open = async (answers: readonly ExampleAnswer[], cache: object = { for: '1h' }, more: object = {}) => {
    const { context, calls } = crmOn(server, answers);
    const config = lookupStep.config.parse({ as: 'customer', http: { ...http, ...more }, cache });
    const step = await lookupStep.open(config, { scope, log: silent, ...context } as never);
    const look = async (id: unknown, signal?: AbortSignal) =>
      ((await step.run(messageOf({ id } as never), attemptOf(signal ? { signal } : {}))) as Message).vars?.['customer'];
    return { look, count: () => calls().length };
  };
  const answer = (body: unknown) => ({ status: 200, body });

  it('asks once for many who come at once, and once more for another', async () => {
    const { look, count } = await open([answer('a')]);
    expect(await Promise.all(Array.from({ length: 50 }, () => look(1)))).toEqual(Array.from({ length: 50 }, () => 'a'));
    expect(count()).toBe(1);
    await Promise.all([look(1), look(2)]);
    expect(count()).toBe(2);
  });

  it('uses an answer as long as it may', async () => {
    const { look, count } = await open([answer('old'), answer('new')], { for: '10s' });
    const began = performance.now();
    const clock = vi.spyOn(performance, 'now').mockReturnValue(began);
    expect(await look(1)).toBe('old');
    clock.mockReturnValue(began + 9_999);
    expect(await look(1)).toBe('old');
    clock.mockReturnValue(began + 10_000);
    expect(await look(1)).toBe('new');
    expect(count()).toBe(2);
  });

  it('keeps no failure: who comes next asks again', async () => {
    const { look, count } = await open([{ status: 503 }, answer('a')]);
    const both = await Promise.allSettled([look(1), look(1)]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await look(1)).toBe('a');
    expect(count()).toBe(2);
  });

  it('keeps that there is nothing', async () => {
    const { look, count } = await open([{ status: 404 }], { for: '1h' }, { onNotFound: 'Continue' });
    expect([await look(1), await look(1), count()]).toEqual([null, null, 1]);
  });

  it('keeps so many, and lets go of what was not used for longest', async () => {
    const { look, count } = await open([answer('a')], { for: '1h', entries: 2 });
    for (const id of [1, 2, 1, 3]) await look(id);
    expect(count()).toBe(3);
    await look(1);
    expect(count()).toBe(3);
    await look(2);
    expect(count()).toBe(4);
  });

  it('lets go of a message whose time is over, and not of the others', async () => {
    const { look, count } = await open([answer('a')]);
    const late = new AbortController();
    const [first, second] = [look(1, late.signal), look(1)];
    late.abort(new Error('late'));
    await expect(first).rejects.toThrow('late');
    expect(await second).toBe('a');
    expect(count()).toBe(1);
  });
});
