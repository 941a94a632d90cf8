import { z } from 'zod';
import { type Attempt, defineStep, type RunFlow, type StepResult } from '../connector.ts';
import { retry } from '../errors.ts';
import { Body, type JsonValue, type Message } from '../message.ts';
import { choiceOf, duration, flowRef, label, listOf, milliseconds, shape } from '../schema.ts';

const branchNames = 'two branches have one name: rename one';
const config = z.strictObject({
  branches: listOf(
    'All get the message, side by side.',
    shape('One branch.', {
      name: label('Field of the body that it becomes.'),
      flow: flowRef('Flow that the message goes through.'),
    }),
    1,
    8,
  )
    .refine((branches) => new Set(branches.map(({ name }) => name)).size === branches.length, { message: branchNames })
    .meta({
      'x-kubernetes-validations': [{ rule: 'self.all(x, self.exists_one(y, y.name == x.name))', message: branchNames }],
    }),
  timeout: duration('For all branches; default: as long as the attempt.').optional(),
  onTimeout: choiceOf('When a branch is late; default Fail.', ['Fail', 'Partial'], {
    doc: 'Partial goes on with the branches that are done: those that are late have no field in the body. A branch that fails always fails the message.',
  }).optional(),
});
type Results = readonly (readonly [branch: string, result: StepResult])[];

/** Scatter-gather: each branch sees the message as it came, and what they make of it are the fields of one body. */
export const parallelStep = defineStep<z.infer<typeof config>>({
  name: 'parallel',
  summary: 'Leads a message through several flows at once.',
  config,
  state: 'none',
  open({ branches, timeout, onTimeout = 'Fail' }, { flow }) {
    const ways = branches.map(({ name, flow: through }) => ({ name, through: flow(through) }));
    const timeoutMs = timeout === undefined ? undefined : milliseconds(timeout);
    return {
      run: async (message, attempt) =>
        joined(message, await allOf(ways, message, attempt, { timeoutMs, isPartial: onTimeout === 'Partial' })),
    };
  },
  examples: () => [
    {
      why: 'what the flows make is one body, a field a branch',
      config: {
        branches: [
          { name: 'price', flow: 'price' },
          { name: 'stock', flow: 'stock' },
        ],
      },
      flows: { price: [{ map: { body: '=body.qty * 1.5' } }], stock: [{ map: { body: { left: '=100 - body.qty' } } }] },
      given: { body: { qty: 2 } },
      becomes: [{ body: { price: 3, stock: { left: 98 } } }],
    },
    {
      why: 'a branch that filters the message is null',
      config: { branches: [{ name: 'gift', flow: 'gift' }], timeout: '5s', onTimeout: 'Partial' },
      flows: { gift: [{ filter: { when: 'body.total > 50' } }] },
      given: { body: { total: 20 } },
      becomes: [{ body: { gift: null } }],
    },
    {
      why: 'a branch that fails fails the message',
      config: { branches: [{ name: 'price', flow: 'price' }] },
      flows: { price: [{ map: { body: '=body.qty * 1.5' } }] },
      given: { body: {} },
      rejects: 'ExpressionFailed',
      part: 'price-1',
    },
    {
      why: 'two branches of one name',
      config: {
        branches: [
          { name: 'a', flow: 'x' },
          { name: 'a', flow: 'y' },
        ],
      },
      refused: 'two branches have one name',
    },
  ],
});

const allOf = async (
  ways: readonly { readonly name: string; readonly through: RunFlow }[],
  message: Message,
  attempt: Attempt,
  { timeoutMs, isPartial }: { timeoutMs: number | undefined; isPartial: boolean },
): Promise<Results> => {
  const ended = new AbortController();
  const within = branchAttempt(attempt, AbortSignal.any([attempt.signal, ended.signal]));
  const results = new Map<string, StepResult>();
  const running = ways.map(async ({ name, through }) => {
    results.set(name, await through(message, within));
  });
  const { promise: late, resolve } = Promise.withResolvers<'late'>();
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => resolve('late'), timeoutMs);
  try {
    const first = await Promise.race([Promise.all(running), late]);
    if (first === 'late' && !isPartial) {
      const missing = ways.filter(({ name }) => !results.has(name)).map(({ name }) => name);
      throw retry('BranchLate', `not done within ${timeoutMs} ms: ${missing.join(', ')}`);
    }
    // In the order of the branches, whichever came first.
    return ways.flatMap(({ name }) => (results.has(name) ? [[name, results.get(name)] as const] : []));
  } finally {
    clearTimeout(timer);
    // Whoever is left has nobody to work for.
    ended.abort(new DOMException('the other branches went on', 'AbortError'));
    void Promise.allSettled(running);
  }
};

const branchAttempt = (attempt: Attempt, signal: AbortSignal): Attempt => ({
  number: attempt.number,
  replay: attempt.replay,
  get origin() {
    return attempt.origin;
  },
  get acceptedAt() {
    return attempt.acceptedAt;
  },
  repeated: attempt.repeated,
  settled: (told) => attempt.settled(told),
  signal,
});

/** A branch that filtered the message is null, one that made several of it a list. */
const joined = (message: Message, results: Results): Message => {
  const body: Record<string, JsonValue> = {};
  for (const [branch, result] of results) body[branch] = valueOf(result);
  return {
    ...message,
    attrs: { ...message.attrs, datacontenttype: 'application/json' },
    body: Body.fromValue(body),
  };
};
const valueOf = (result: StepResult): JsonValue => {
  if (result === undefined) return null;
  if ('attrs' in result) return result.body.value();
  const made = [...result];
  const [first] = made;
  if (!first) return null;
  return made.length === 1 ? first.body.value() : made.map((each) => each.body.value());
};
