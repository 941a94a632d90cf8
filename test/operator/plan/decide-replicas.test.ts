import { describe, expect, it } from 'vitest';
import { effectiveIntegration } from '../../../operator/api/effective.ts';
import {
  decideReplicas,
  neededReplicas,
  type ScalingState,
  scaleInAfterMs,
  scalingPolicy,
} from '../../../operator/plan/decide-replicas.ts';
import { splitPending, type Work, workOf } from '../../../operator/plan/work.ts';
import type { StreamLag } from '../../../operator/reconcile/ports.ts';
import { integration } from '../../build.ts';
import { type AutoPolicy, play, policyOf, violations } from './load-curves.ts';

const curves = 1_000;
const firstSeed = 20_260;
type Decide = typeof decideReplicas;

const broken = (decide: Decide, until = curves): string[] => {
  const found: string[] = [];
  for (let seed = firstSeed; seed < firstSeed + until && found.length === 0; seed += 1) {
    const policy = policyOf(seed);
    found.push(...violations(policy, play(seed, policy, decide)).map((text) => `seed ${seed}: ${text}`));
  }
  return found;
};
const seeing =
  (change: (work: Work) => Work): Decide =>
  (policy, state, work, now) =>
    decideReplicas(policy, state, work && change(work), now);
const asking =
  (change: (policy: AutoPolicy) => AutoPolicy): Decide =>
  (policy, state, work, now) =>
    decideReplicas(policy.mode === 'Auto' ? change(policy) : policy, state, work, now);
const ending =
  (change: (before: number, after: number) => number): Decide =>
  (policy, state, work, now) => {
    const decided = decideReplicas(policy, state, work, now);
    return { ...decided, state: { ...decided.state, replicas: change(state.replicas, decided.state.replicas) } };
  };

describe('the number of workers', () => {
  it('keeps to the rules on a thousand load curves', { timeout: 120_000 }, () => {
    expect(broken(decideReplicas)).toEqual([]);
  });

  const mutants: [what: string, rule: string, decide: Decide][] = [
    ['that forgets what is parked', 'none with work|not at rest|given up', seeing((work) => ({ ...work, parked: 0 }))],
    [
      'that multiplies by what is parked',
      'more than wait',
      seeing((work) => ({ ...work, waiting: work.waiting + work.parked })),
    ],
    [
      'that adds pods for what others hold',
      'more than wait',
      seeing((work) => ({ ...work, waiting: work.waiting + work.inFlight })),
    ],
    [
      'that takes unknown for nothing',
      'not known',
      (policy, state, work, now) => decideReplicas(policy, state, work ?? { waiting: 0, inFlight: 0, parked: 0 }, now),
    ],
    [
      'that goes above the most',
      'above the most',
      asking((policy) => ({ ...policy, maxReplicas: policy.maxReplicas + 1 })),
    ],
    [
      'that goes below the least',
      'below the least',
      asking((policy) => ({ ...policy, minReplicas: Math.max(0, policy.minReplicas - 1) })),
    ],
    ['that does not wait when idle', 'given up too soon', asking((policy) => ({ ...policy, idleAfterMs: 0 }))],
    ['that never sleeps', 'not at rest', asking((policy) => ({ ...policy, idleAfterMs: Number.POSITIVE_INFINITY }))],
    [
      'that gives up at once',
      'given up too soon',
      (policy, state, work, now) =>
        decideReplicas(policy, { ...state, fewer: { since: now - scaleInAfterMs, most: 0 } }, work, now),
    ],
    [
      'that gives up a little too soon',
      'given up too soon',
      (policy, state, work, now) =>
        decideReplicas(
          policy,
          state.fewer ? { ...state, fewer: { ...state.fewer, since: state.fewer.since - 2_000 } } : state,
          work,
          now,
        ),
    ],
    ['that adds one pod at a time', 'too slow', ending((before, after) => Math.min(after, before + 1))],
    ['that gives up nothing', 'kept for nothing|not at rest', ending(Math.max)],
  ];
  it.each(mutants)('is not told by a rule %s', { timeout: 120_000 }, (_what, rule, decide) => {
    expect(broken(decide).join('\n')).toMatch(new RegExp(rule));
  });

  const policy: AutoPolicy = { mode: 'Auto', minReplicas: 0, maxReplicas: 10, lagPerReplica: 100, idleAfterMs: 60_000 };
  const none: Work = { waiting: 0, inFlight: 0, parked: 0 };
  const rows: [why: string, before: number, work: Work | undefined, after: number][] = [
    ['one message wakes one', 0, { ...none, waiting: 1 }, 1],
    ['many wake as many as they need', 0, { ...none, waiting: 750 }, 8],
    ['and never more than the most', 3, { ...none, waiting: 75_000 }, 10],
    ['what is parked needs one, however much', 0, { ...none, parked: 20_000 }, 1],
    ['what others hold adds none', 2, { ...none, inFlight: 2_000 }, 2],
    ['nothing known changes nothing', 4, undefined, 4],
    ['but a lower limit counts at once', 14, undefined, 10],
    ['who sleeps sleeps on', 0, none, 0],
  ];
  it.each(rows)('%s', (_why, before, work, after) => {
    expect(decideReplicas(policy, { replicas: before }, work, 0).state.replicas).toBe(after);
  });

  it('comes to rest by the times that it asks for itself', () => {
    let [now, decided] = [0, decideReplicas(policy, { replicas: 7 }, none, 0)];
    const seen: number[] = [];
    while (decided.againInMs !== undefined) {
      now += decided.againInMs;
      decided = decideReplicas(policy, decided.state, none, now);
      seen.push(decided.state.replicas);
      expect(seen.length).toBeLessThan(5);
    }
    expect(seen).toEqual([1, 0]);
    expect(now).toBe(policy.idleAfterMs);
  });

  const scaled = (scaling: object, suspend = false) =>
    effectiveIntegration({ ...integration({ scaling }).spec, suspend });
  it.each([
    ['by hand', scaled({ mode: 'Manual', replicas: 4 }), false, 4],
    ['by hand, none', scaled({ mode: 'Manual', replicas: 0 }), false, 0],
    ['none while suspended', scaled({ minReplicas: 3 }, true), false, 0],
    ['none while the tenant is', scaled({ minReplicas: 3 }), true, 0],
    ['the least at first', scaled({ minReplicas: 3 }), false, 3],
    ['none at first', scaled({}), false, 0],
  ])('is %s', (_why, spec, suspend, count) => {
    const found = scalingPolicy(spec, { suspend });
    const busy = { waiting: 0, inFlight: 0, parked: 0 };
    expect(decideReplicas(found, { replicas: 0 }, busy, 0).state.replicas).toBe(count);
    expect(neededReplicas(found, count)).toBe(count);
  });
  it('is no more than there are partitions to keep in order', () => {
    const delivery = { ordering: 'Key' as const, key: 'body.id', partitions: 3 };
    const spec = effectiveIntegration({ ...integration({ delivery }).spec });
    expect(scalingPolicy(spec, { suspend: false })).toMatchObject({ minReplicas: 0, maxReplicas: 3 });
  });
  it('is none where requests are answered, too, but never while one can still be in work', () => {
    const sources = [{ name: 'in', http: { path: '/in', reply: { timeout: '20s' } } }];
    const policyFor = (idleAfter: string) =>
      scalingPolicy(effectiveIntegration({ ...integration({ sources, scaling: { idleAfter } }).spec }), {
        suspend: false,
      });
    expect(policyFor('1s')).toMatchObject({ minReplicas: 0, idleAfterMs: 35_000 });
    expect(policyFor('5m')).toMatchObject({ minReplicas: 0, idleAfterMs: 300_000 });
  });
  it('is one from a call until the time without any is over', () => {
    const called: AutoPolicy = { ...policy, minReplicas: 0, idleAfterMs: 60_000 };
    const idle = { waiting: 0, inFlight: 0, parked: 0 };
    let state: ScalingState = { replicas: 0 };
    const at = (seconds: number, calledAt?: number) => {
      const now = seconds * 1_000;
      const decided = decideReplicas(called, state, { ...idle, calledAt: calledAt && calledAt * 1_000 }, now);
      state = decided.state;
      return [state.replicas, decided.againInMs];
    };
    expect(at(5), 'nobody calls').toEqual([0, undefined]);
    expect(at(10, 10), 'one does').toEqual([1, 60_000]);
    expect(at(40, 10)).toEqual([1, 30_000]);
    expect(at(60, 55), 'and again').toEqual([1, 55_000]);
    expect(at(114, 55)).toEqual([1, 1_000]);
    expect(at(115, 55)).toEqual([0, undefined]);
    expect(at(200, 55), 'the old call wakes nobody again').toEqual([0, undefined]);
  });
  it('needs to be ready only as far as it is not for the load', () => {
    expect(neededReplicas(policy, 8)).toBe(1);
    expect(neededReplicas({ ...policy, minReplicas: 3 }, 8)).toBe(3);
    expect(neededReplicas(policy, 0)).toBe(0);
  });
});

describe('what is in flight', () => {
  const limits = { attemptMs: 30_000, held: 128 };
  const at = (seconds: number, ackPending: number, delivered: number) => ({
    at: seconds * 1_000,
    ackPending,
    delivered,
  });

  it('is all of it while nothing older was seen, as far as a worker can hold it', () => {
    expect(splitPending(at(0, 100, 500), {}, limits)).toMatchObject({ inFlight: 100, parked: 0 });
    expect(splitPending(at(0, 5_000, 9_000), {}, limits)).toMatchObject({ inFlight: 128, parked: 4_872 });
  });
  it('is no more than was delivered within two attempts', () => {
    let seen = splitPending(at(0, 100, 500), {}, limits);
    seen = splitPending(at(61, 100, 500), seen.marks, limits);
    expect(seen).toMatchObject({ inFlight: 0, parked: 100 });
    seen = splitPending(at(70, 110, 530), seen.marks, limits);
    expect(seen).toMatchObject({ inFlight: 30, parked: 80 });
  });
  it('is counted anew when the consumer was made anew', () => {
    const seen = splitPending(at(0, 100, 500), {}, limits);
    expect(splitPending(at(61, 7, 20), seen.marks, limits)).toMatchObject({ inFlight: 7, parked: 0 });
  });
});

describe('what there is to do', () => {
  const worker = { integration: 'orders', partitions: 1, attemptMs: 30_000, held: 128 };
  const consumer = (name: string, pending: number, ackPending: number) => ({
    name,
    pending,
    ackPending,
    delivered: 500,
  });
  const stream = (
    name: string,
    messages: number,
    consumers: StreamLag['consumers'],
    consumersAt?: number,
  ): StreamLag => ({
    account: 'A',
    stream: name,
    messages,
    bytes: 0,
    firstSequence: 1,
    lastSequence: 900,
    lastTime: undefined,
    consumers,
    consumersAt,
  });
  const inbox = (messages: number, ackPending: number) =>
    stream('inbox_orders', messages, [consumer('worker-0', 3, ackPending)], 1_000);
  const work = (found: ReturnType<typeof workOf>) => (found === 'missing' ? found : found.work);

  it('is in the inbox, by its newest count', () =>
    expect(work(workOf(worker, inbox(50, 20), [], {}))).toEqual({ waiting: 30, inFlight: 20, parked: 0 }));
  it('is on the bus, too, as far as it is for this one', () => {
    const bus = stream('bus', 700, [consumer('billing', 600, 0), consumer('orders', 7, 5)], 1_000);
    expect(work(workOf(worker, inbox(50, 20), [bus], {}))).toEqual({ waiting: 37, inFlight: 25, parked: 0 });
  });
  it('is all that is stored before anybody looked at consumers', () =>
    expect(work(workOf(worker, stream('inbox_orders', 4, []), [], {}))).toEqual({
      waiting: 4,
      inFlight: 0,
      parked: 0,
    }));
  it('is not known without a consumer', () => {
    expect(workOf(worker, stream('inbox_orders', 4_000, [], 1_000), [], {})).toBe('missing');
    expect(workOf({ ...worker, partitions: 2 }, inbox(4_000, 0), [], {})).toBe('missing');
    expect(workOf(worker, inbox(0, 0), [stream('bus', 700, [consumer('billing', 600, 0)], 1_000)], {})).toBe('missing');
  });
});
