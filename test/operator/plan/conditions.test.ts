import { describe, expect, it } from 'vitest';
import { catalogue } from '../../../operator/api/conditions.ts';
import { assess } from '../../../operator/plan/acceptance.ts';
import { stampConditions, verdict } from '../../../operator/plan/conditions.ts';
import { type Facts, integrationVerdicts } from '../../../operator/plan/integration-conditions.ts';
import { integrationStatus, roughLag } from '../../../operator/plan/integration-status.ts';
import { integration } from '../../build.ts';
import { candidate } from './fixtures.ts';

const { accepted, connections } = assess(candidate());
const served = { revision: 3, applied: { uid: 'uid-1', generation: 1, revision: 3 }, uid: 'uid-1' };
const running: Facts = {
  generation: 2,
  accepted,
  connections,
  suspended: { integration: false, tenant: false },
  messaging: verdict('MessagingReady', 'True', 'Ready'),
  workers: { wanted: 1, needed: 1, ready: 1, rollout: 'done' },
  gateway: served,
  deadLetters: { count: 0, full: false },
};
const bad = verdict('Accepted', 'False', 'InvalidExpression', 'spec.steps[0]: no');
const full = verdict('MessagingReady', 'False', 'CapacityExceeded', 'no room');

/** kstatus: cli-utils/pkg/kstatus/status/generic.go. */
const kstatus = (shown: readonly { type: string; status: string }[]): string => {
  const is = (type: string) => shown.find((condition) => condition.type === type)?.status;
  if (is('Reconciling') === 'True') return 'InProgress';
  if (is('Stalled') === 'True') return 'Failed';
  return is('Ready') === 'True' ? 'Current' : 'InProgress';
};

const rows: [why: string, changes: Partial<Facts>, ready: string, available: string, kstatus: string][] = [
  ['it runs', {}, 'True/Running', 'True', 'Current'],
  [
    'idle at zero is well',
    { workers: { wanted: 0, needed: 0, ready: 0, rollout: 'done' } },
    'True/Idle',
    'True',
    'Current',
  ],
  [
    'suspended is well',
    { suspended: { integration: true, tenant: false }, workers: { wanted: 0, needed: 0, ready: 0, rollout: 'done' } },
    'True/Suspended',
    'False',
    'Current',
  ],
  [
    'so it is with its tenant, whose account is closed',
    { suspended: { integration: false, tenant: true }, messaging: verdict('MessagingReady', 'Unknown', 'Waiting') },
    'True/Suspended',
    'False',
    'Current',
  ],
  ['a bad edit fails at once, and what was accepted runs', { accepted: bad }, 'False/Stalled', 'True', 'Failed'],
  [
    'a first bad spec runs nothing',
    { accepted: bad, workers: undefined, gateway: undefined },
    'False/Stalled',
    'False',
    'Failed',
  ],
  ['streams do not fit', { messaging: full }, 'False/Stalled', 'True', 'Failed'],
  [
    'NATS is away: transient',
    { messaging: verdict('MessagingReady', 'Unknown', 'Unreachable') },
    'Unknown/MessagingUnreachable',
    'True',
    'InProgress',
  ],
  [
    'it rolls out',
    { workers: { wanted: 1, needed: 1, ready: 1, rollout: 'running' } },
    'Unknown/Starting',
    'True',
    'InProgress',
  ],
  [
    'no worker is ready yet',
    { workers: { wanted: 1, needed: 1, ready: 0, rollout: 'done' } },
    'Unknown/Starting',
    'False',
    'InProgress',
  ],
  [
    'the gateway serves older routes',
    { gateway: { ...served, revision: 4 } },
    'Unknown/GatewayNotReady',
    'True',
    'InProgress',
  ],
  [
    'the gateway serves a namesake that is gone',
    { gateway: { ...served, uid: 'uid-2' } },
    'Unknown/GatewayNotReady',
    'False',
    'InProgress',
  ],
  [
    'the gateway cannot',
    { gateway: { ...served, applied: { ...served.applied, error: 'no key' } } },
    'Unknown/GatewayNotReady',
    'False',
    'InProgress',
  ],
  [
    'the pod that fetches is not ready',
    { intake: { ready: 0, rollout: 'done' }, gateway: undefined },
    'Unknown/IntakeNotReady',
    'False',
    'InProgress',
  ],
  [
    'the pod that fetches is ready, and no worker is needed',
    { intake: { ready: 1, rollout: 'done' }, workers: { wanted: 0, needed: 0, ready: 0, rollout: 'done' } },
    'True/Idle',
    'True',
    'Current',
  ],
  [
    'dead letters do not make it unready',
    { deadLetters: { count: 7, full: false, lastReason: 'HttpStatus502' } },
    'True/Running',
    'True',
    'Current',
  ],
  [
    'wrong credentials pause its workers, and only a user can help',
    {
      workers: { wanted: 1, needed: 1, ready: 0, rollout: 'done' },
      paused: { part: 'erp', code: 'HttpStatus401' },
    },
    'False/Stalled',
    'False',
    'Failed',
  ],
  [
    'one of several that is paused is enough to need a user',
    {
      workers: { wanted: 3, needed: 1, ready: 2, rollout: 'done' },
      paused: { part: 'erp', code: 'HttpStatus401' },
    },
    'False/Stalled',
    'True',
    'Failed',
  ],
  ['full dead letters stop it', { deadLetters: { count: 7, full: true } }, 'False/Stalled', 'True', 'Failed'],
  [
    'somebody has to know of events that were dropped unread',
    { gap: { missed: 9, through: 40, acknowledge: 'kubectl annotate ...' } },
    'False/Stalled',
    'True',
    'Failed',
  ],
];

describe('conditions of an Integration', () => {
  it.each(rows)('%s', (_why, changes, ready, available, summary) => {
    const shown = integrationVerdicts({ ...running, ...changes }, [], 0);
    const found = (type: string) => shown.find((condition) => condition.type === type);
    expect(`${found('Ready')?.status}/${found('Ready')?.reason}`).toBe(ready);
    expect(found('Available')?.status).toBe(available);
    expect(kstatus(shown)).toBe(summary);
    // Ready=False alone would mean "in progress" for ever.
    if (found('Ready')?.status === 'False') expect(found('Stalled')?.status).toBe('True');
    for (const { type, status, reason } of shown)
      expect(
        catalogue.some((entry) => entry.type === type && entry.status === status && entry.reason === reason),
        `${type} ${status} ${reason}`,
      ).toBe(true);
  });

  it('call it reconciling for a new generation, and not when pods come and go', () => {
    const down: Facts = { ...running, workers: { wanted: 1, needed: 1, ready: 0, rollout: 'done' } };
    const write = (facts: Facts, previous: ReturnType<typeof stampConditions>) =>
      stampConditions(integrationVerdicts(facts, previous, 0), { previous, generation: facts.generation, now: 0 });
    const settled = write(running, []);
    const status = (shown: typeof settled, type: string) => shown.find((condition) => condition.type === type);
    expect(status(write(down, settled), 'Reconciling')?.status).toBe('False');
    expect(status(write(down, settled), 'Ready')).toMatchObject({ status: 'Unknown', reason: 'WorkersNotReady' });
    expect(status(write({ ...down, generation: 3 }, settled), 'Reconciling')?.status).toBe('True');
  });

  it('stay ready while it scales, from idle too, unless no worker comes', () => {
    const pods = (wanted: number, ready: number, rollout: 'done' | 'unseen' = 'done') => ({
      ...running,
      workers: { wanted, needed: Math.min(wanted, 1), ready, rollout },
    });
    let shown: ReturnType<typeof stampConditions> = [];
    const after = (seconds: number, facts: Facts): string => {
      const now = seconds * 1_000;
      shown = stampConditions(integrationVerdicts(facts, shown, now), { previous: shown, generation: 2, now });
      const of = (type: string) => shown.find((condition) => condition.type === type);
      expect(of('Reconciling')?.status).toBe('False');
      return `${of('Ready')?.status}/${of('Ready')?.reason} ${of('Available')?.reason} ${of('Active')?.status}`;
    };
    expect(after(0, pods(0, 0))).toBe('True/Idle Idle False');
    expect(after(10, pods(1, 0, 'unseen'))).toBe('True/Waking Waking True');
    expect(after(50, pods(1, 0))).toBe('True/Waking Waking True');
    expect(after(71, pods(1, 0))).toBe('Unknown/WorkersNotReady NoWorkers True');
    expect(after(72, pods(1, 1))).toBe('True/Running Serving True');
    expect(after(73, pods(5, 1, 'unseen'))).toBe('True/Running Serving True');
    expect(after(74, pods(5, 1))).toBe('True/Running Serving True');
    expect(after(75, pods(5, 0))).toBe('Unknown/WorkersNotReady NoWorkers True');
    expect(after(76, pods(0, 0))).toBe('True/Idle Idle False');
  });

  it('keep the time of the last transition while the status stays', () => {
    const first = stampConditions([verdict('Stalled', 'False', 'Progressing')], {
      previous: [],
      generation: 1,
      now: 1_000,
    });
    const same = stampConditions([verdict('Stalled', 'False', 'Progressing', 'other words')], {
      previous: first,
      generation: 2,
      now: 9_000,
    });
    const other = stampConditions([verdict('Stalled', 'True', 'NotAccepted')], {
      previous: first,
      generation: 2,
      now: 9_000,
    });
    expect(same[0]).toMatchObject({
      lastTransitionTime: '1970-01-01T00:00:01Z',
      observedGeneration: 2,
      message: 'other words',
    });
    expect(other[0]?.lastTransitionTime).toBe('1970-01-01T00:00:09Z');
  });
});

describe('lag', () => {
  it.each([
    [
      'the same order of magnitude writes nothing',
      { pending: 12, inFlight: 8 },
      { pending: 99, inFlight: 1 },
      'previous',
    ],
    ['a new one does', { pending: 12, inFlight: 8 }, { pending: 100, inFlight: 8 }, 'current'],
    ['nothing left is news', { pending: 1, inFlight: 0 }, { pending: 0, inFlight: 0 }, 'current'],
  ] as const)('%s', (_why, previous, current, which) => {
    expect(roughLag(current, previous)).toBe(which === 'current' ? current : previous);
  });
});

describe('the lag of an Integration that is new', () => {
  const consumer = { name: 'orders', pending: 0, ackPending: 0, delivered: 0 };
  const stream = (messages: number, pending = 0) => ({
    name: 'x',
    messages,
    bytes: 0,
    firstSequence: 1,
    lastSequence: messages,
    consumers: [{ ...consumer, pending }],
  });
  const lagOf = (inbox: number, bus: number | undefined, status = {}) => {
    const object = { ...integration(), status };
    const observed = {
      inbox: stream(inbox),
      work: undefined,
      deadLetters: undefined,
      subscribed: bus === undefined ? {} : { bus: stream(9, bus) },
      bus: undefined,
      lastDeadLetter: undefined,
      deployment: undefined,
    };
    return integrationStatus(object, running, observed, undefined, Date.parse('2026-01-01')).lag;
  };
  const none = { pending: 0, inFlight: 0 };
  it.each([
    ['is known while nothing waits', lagOf(0, undefined), none],
    ['also on the bus', lagOf(0, 0), none],
    ['is not when something may be in work', lagOf(1, undefined), undefined],
    ['nor when events wait', lagOf(0, 3), undefined],
    ['what was known stays', lagOf(0, undefined, { lag: { pending: 7, inFlight: 1 } }), { pending: 7, inFlight: 1 }],
  ])('%s', (_, found, expected) => expect(found).toEqual(expected));
});
