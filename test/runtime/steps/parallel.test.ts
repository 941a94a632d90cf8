import { describe, expect, it } from 'vitest';
import { catalog } from '../../../runtime/catalog.ts';
import type { Attempt, RunFlow } from '../../../runtime/connector.ts';
import { openParts, type PartContext } from '../../../runtime/engine/parts.ts';
import { runSteps } from '../../../runtime/engine/steps.ts';
import { reject } from '../../../runtime/errors.ts';
import type { Flow } from '../../../runtime/flow.ts';
import { Body, type JsonValue, type Message } from '../../../runtime/message.ts';
import { parallelStep } from '../../../runtime/steps/parallel.ts';
import { filter, map } from '../../build.ts';
import { attemptOf } from '../attempt.ts';
import { attempt, messageOf, openStep } from './harness.ts';

type Steps = Flow['steps'];
/** Through the engine, with flows as an Integration names them. */
const bodies = async (branches: readonly string[], flows: Readonly<Record<string, Steps>>, body: JsonValue) => {
  const named = Object.entries(flows).map(([name, its]) => ({ name, steps: its }));
  const step = { name: 'all', parallel: { branches: branches.map((name) => ({ name: `b-${name}`, flow: name })) } };
  const flow = { tenant: 'acme', integration: 'orders', sinks: [], connections: {}, steps: [step], flows: named };
  const parts = await openParts(flow as unknown as Flow, catalog, {
    memory: () => ({}),
    own: () => ({}),
  } as unknown as PartContext);
  return (await runSteps(parts.steps, messageOf(body), attempt)).map((each) => each.body.value());
};

/** Flows that take as long as a test wants. */
const open = async (config: object, flows: Readonly<Record<string, RunFlow>>) => {
  const branches = Object.keys(flows).map((name) => ({ name, flow: name }));
  return openStep(parallelStep, { branches, ...config }, { flow: (name: string) => flows[name] as RunFlow });
};
const says = (text: string) => (message: Message) => ({ ...message, body: Body.fromValue(text) });
const untilAborted =
  (seen: (reason: unknown) => void) =>
  (_: Message, { signal }: Attempt) =>
    new Promise<Message>((_resolve, refuse) => {
      signal.addEventListener('abort', () => {
        seen(signal.reason);
        refuse(signal.reason as Error);
      });
    });
const bodyOf = (result: unknown) => (result as Message).body.value();

describe('parallel', () => {
  it('joins what each branch makes of the message as it came, in their order', async () => {
    const flows = {
      price: [map('=body.qty * 2', 'twice'), map('=body + 1', 'more')],
      none: [filter('false', 'never')],
      text: [map({ id: '=body.id' }, 'shape')],
    };
    expect(await bodies(['text', 'price', 'none'], flows, { id: 'a', qty: 4 })).toEqual([
      { 'b-text': { id: 'a' }, 'b-price': 9, 'b-none': null },
    ]);
  });

  it('fails with the step inside that failed', async () => {
    const flows = { good: [map('=1', 'one')], bad: [map('=body.no.such', 'broken')] };
    await expect(bodies(['good', 'bad'], flows, {})).rejects.toMatchObject({ step: 'broken' });
  });

  it('goes on without those that are late, and ends them', async () => {
    const reasons: unknown[] = [];
    const flows = { fast: says('fast'), late: untilAborted((reason) => reasons.push(reason)) };
    const run = await open({ timeout: '1s', onTimeout: 'Partial' }, flows);
    expect(bodyOf(await run(messageOf({})))).toEqual({ fast: 'fast' });
    expect(reasons).toHaveLength(1);
  });

  it('fails for those that are late when nothing else is said, to be tried again', async () => {
    const run = await open({ timeout: '1s' }, { fast: says('fast'), late: untilAborted(() => undefined) });
    await expect(run(messageOf({}))).rejects.toMatchObject({
      code: 'BranchLate',
      instruction: 'retry',
      message: expect.stringContaining('late'),
    });
  });

  it('ends the others when one fails, also when partial results would do', async () => {
    const reasons: unknown[] = [];
    const refuses = () => Promise.reject(reject('No', 'no'));
    const flows = { bad: refuses, late: untilAborted((reason) => reasons.push(reason)) };
    const run = await open({ timeout: '1h', onTimeout: 'Partial' }, flows);
    await expect(run(messageOf({}))).rejects.toMatchObject({ code: 'No' });
    expect(reasons).toHaveLength(1);
  });

  it('obeys the deadline of the attempt', async () => {
    const controller = new AbortController();
    const flow = () => untilAborted(() => undefined);
    const step = await parallelStep.open({ branches: [{ name: 'late', flow: 'late' }] }, { flow } as never);
    const running = step.run(messageOf({}), attemptOf({ signal: controller.signal }));
    controller.abort(new Error('the deadline'));
    await expect(running).rejects.toThrow('the deadline');
  });
});
