import { describe, expect, it } from 'vitest';
import { catalog } from '../../../runtime/catalog.ts';
import { openParts, type PartContext } from '../../../runtime/engine/parts.ts';
import { runSteps } from '../../../runtime/engine/steps.ts';
import type { Flow } from '../../../runtime/flow.ts';
import type { JsonValue } from '../../../runtime/message.ts';
import { choiceStep } from '../../../runtime/steps/choice.ts';
import { choice, filter, map } from '../../build.ts';
import { attemptOf } from '../attempt.ts';
import { attempt, messageOf } from './harness.ts';

/* Named flows are the engine's: the step is tried where it is used. */
type Steps = Flow['steps'];
const open = (steps: Steps, flows: Readonly<Record<string, Steps>>) => {
  const named = Object.entries(flows).map(([name, itsSteps]) => ({ name, steps: itsSteps }));
  const flow = { tenant: 'acme', integration: 'orders', sinks: [], connections: {}, steps, flows: named };
  return openParts(flow as unknown as Flow, catalog, { memory: () => ({}), own: () => ({}) } as unknown as PartContext);
};
const bodies = async (steps: Steps, flows: Readonly<Record<string, Steps>>, body: JsonValue) => {
  const parts = await open(steps, flows);
  return (await runSteps(parts.steps, messageOf(body), attempt)).map((each) => each.body.value());
};

const bySize = choice(
  [
    ['body.qty > 100', 'huge'],
    ['body.qty > 10', 'large'],
  ],
  'small',
  'by-size',
);
const flows = {
  huge: [filter('false', 'never')],
  large: [
    map({ size: 'large', qty: '=body.qty' }, 'large'),
    map({ size: '=body.size', twice: '=body.qty * 2' }, 'twice'),
  ],
  small: [map('small', 'small')],
};

describe('choice', () => {
  it.each<[string, JsonValue, JsonValue[]]>([
    ['the first case that holds, though the second does too', { qty: 101 }, []],
    ['all steps of a flow, in order', { qty: 11 }, [{ size: 'large', twice: 22 }]],
    ['otherwise', { qty: 1 }, ['small']],
  ])('takes %s', async (_, body, expected) => {
    expect(await bodies([bySize], flows, body)).toEqual(expected);
  });

  it('goes on with the next step, whatever way the message went', async () => {
    const steps = [bySize, map({ was: '=body' }, 'after')];
    expect(await bodies(steps, flows, { qty: 1 })).toEqual([{ was: 'small' }]);
    expect(await bodies(steps, flows, { qty: 101 })).toEqual([]);
  });

  it('leaves a message alone that no case wants', async () => {
    const parts = await open([choice([['false', 'small']])], flows);
    const message = messageOf({ qty: 1 });
    const [only] = await runSteps(parts.steps, message, attempt);
    expect(only).toBe(message);
  });

  it('goes through flows that name others, before and after them', async () => {
    const nested = {
      inner: [map('inner', 'a')],
      outer: [choice([['true', 'last']], undefined, 'b'), choice([["body == 'last'", 'inner']], undefined, 'c')],
      last: [map('last', 'd')],
    };
    expect(await bodies([choice([['true', 'outer']])], nested, 1)).toEqual(['inner']);
  });

  it.each<[string, string, Steps, string, string]>([
    ['the step inside the flow', 'true', [map('=body.none', 'inside')], 'inside', 'ExpressionFailed'],
    ['one two flows down', 'true', [choice([['true', 'deep']], undefined, 'on')], 'deep-down', 'ExpressionFailed'],
    ['itself, when its condition is none', "'yes'", [], 'way', 'NotABoolean'],
    ['itself, when its condition fails', 'body.none', [], 'way', 'ExpressionFailed'],
  ])('a failure names %s', async (_, when, steps, failed, code) => {
    const parts = await open([choice([[when, 'f']])], { f: steps, deep: [map('=body.none', 'deep-down')] });
    await expect(async () => runSteps(parts.steps, messageOf({}), attempt)).rejects.toMatchObject({
      step: failed,
      cause: { instruction: 'reject', code },
    });
  });

  it('starts no step of a flow after the deadline of the attempt', async () => {
    const parts = await open([choice([['true', 'small']])], flows);
    const signal = AbortSignal.abort(new DOMException('late', 'TimeoutError'));
    await expect(async () => runSteps(parts.steps, messageOf({}), attemptOf({ signal }))).rejects.toMatchObject({
      step: 'way',
    });
  });

  it('is not opened with a flow that is not there', async () => {
    await expect(open([choice([['true', 'none']])], flows)).rejects.toThrow('no flow "none"');
  });

  it.each<[unknown, string]>([
    [{}, 'no cases'],
    [{ cases: [] }, 'an empty list of cases'],
    [{ cases: [{ when: 'true' }] }, 'a case that leads nowhere'],
    [{ cases: [{ flow: 'bulk' }] }, 'a case that never holds'],
    [{ cases: [{ when: 'body >', flow: 'bulk' }] }, 'a broken expression'],
    [{ cases: [{ when: 'true', flow: 'Not a name' }] }, 'no name of a flow'],
    [{ cases: Array.from({ length: 17 }, () => ({ when: 'true', flow: 'f' })) }, 'too many cases'],
    [{ cases: [{ when: 'true', flow: 'f' }], default: 'f' }, 'an unknown field'],
  ])('configuration %j is refused (%s)', (config) => {
    expect(choiceStep.config.safeParse(config).success).toBe(false);
  });
});
