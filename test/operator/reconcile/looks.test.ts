import { expect, it } from 'vitest';
import type { Condition } from '../../../operator/api/fields.ts';
import { lookAgainMs } from '../../../operator/reconcile/context.ts';
import type { Cluster, KubeObject, LagReport, StreamLag } from '../../../operator/reconcile/ports.ts';
import { brokenAccounts, everybody, waitingForGateway } from '../../../operator/reconcile/wake.ts';
import { integration, tenant } from '../../build.ts';

/* Who looks although no object has changed: because of what NATS shows, or because it is time. */
const named = (name: string, id?: string) => ({
  ...tenant({ namespace: { name } }, { name }),
  ...(id && { status: { account: { id } } }),
});
const tenants = [named('acme', 'A1'), named('globex', 'A2'), named('initech', 'A3'), named('new')];
const condition = (type: string, status: Condition['status'], reason: string, ageMs = 0): Condition => ({
  type,
  status,
  reason,
  message: '',
  observedGeneration: 1,
  lastTransitionTime: new Date(now - ageMs).toISOString(),
});
const now = Date.parse('2026-01-01T12:00:00Z');
const ready = (namespace: string, name: string, reason: string) => ({
  ...integration({}, { namespace, name }),
  status: { conditions: [condition('Ready', reason === 'Running' ? 'True' : 'Unknown', reason)] },
});
const integrations = [
  ready('acme', 'serves', 'Running'),
  ready('acme', 'waits', 'GatewayNotReady'),
  ready('globex', 'waits', 'GatewayNotReady'),
];
const cluster = {
  list: ({ plural }: { plural: string }, { namespace }: { namespace?: string } = {}) => {
    const all: readonly object[] = plural === 'tenants' ? tenants : integrations;
    return all.filter((object) => !namespace || (object as KubeObject).metadata.namespace === namespace);
  },
} as unknown as Cluster;
const woken = () => {
  const keys: string[] = [];
  return { keys, tenant: (name: string) => void keys.push(name), look: (key: string) => void keys.push(key) };
};
const lag = (account: string, stream: string) => ({ account, stream }) as StreamLag;
const report = (changes: Partial<LagReport>): LagReport => ({ changed: [], gone: [], ...changes });

it('the tenants whose accounts lost a stream look, once each', () => {
  const { keys, ...wakes } = woken();
  const wake = brokenAccounts(cluster, wakes);
  wake(report({}));
  wake(report({ gone: [lag('A1', 'KV_state'), lag('A1', 'bus'), lag('A3', 'inbox_orders'), lag('other', 'x')] }));
  expect(keys).toEqual(['acme', 'initech']);
});

it('Integrations look that wait for the gateway of an account, when its bucket has moved', () => {
  const { keys, ...wakes } = woken();
  const wake = waitingForGateway(cluster, wakes, { isAllOwn: (account) => account === 'A2' });
  wake(report({ changed: [lag('A1', 'inbox_waits'), lag('A2', 'KV_state')] }));
  expect(keys).toEqual([]);
  wake(report({ changed: [lag('A1', 'KV_gateway'), lag('other', 'KV_gateway')] }));
  expect(keys).toEqual(['acme/waits']);
  // It was the operator that wrote there.
  wake(report({ changed: [lag('A2', 'KV_gateway')] }));
  expect(keys).toEqual(['acme/waits']);
});

it('everybody looks when NATS went away or came back', () => {
  const { keys, ...wakes } = woken();
  everybody(cluster, wakes)();
  expect(keys).toEqual(['acme', 'globex', 'initech', 'new', 'acme/serves', 'acme/waits', 'globex/waits']);
});

it.each([
  ['what is well, each minute', [condition('Ready', 'True', 'Running')], 60_000],
  ['also while it is idle', [condition('Ready', 'True', 'Idle')], 60_000],
  ['who wakes, soon: it is well for a minute and no longer', [condition('Ready', 'True', 'Waking')], 10_000],
  ['who is suspended, soon: its pods have a minute', [condition('Ready', 'True', 'Suspended')], 10_000],
  ['who is stuck, soon', [condition('Ready', 'False', 'Stalled'), condition('Stalled', 'True', 'BusGap')], 10_000],
  ['what is new, at once', [condition('Reconciling', 'True', 'NewGeneration', 100)], 500],
  ['what takes long, later', [condition('Reconciling', 'True', 'NewGeneration', 20_000)], 5_000],
  ['and not too late', [condition('Reconciling', 'True', 'NewGeneration', 3_600_000)], 30_000],
] as const)('%s', (_, conditions, ms) => expect(lookAgainMs(conditions, now, { count: 10, restMs: 50 })).toBe(ms));

it.each([
  ['of a thousand each minute', 1_000, 60_000],
  ['of more less often, so that looking takes no more time', 5_000, 250_000],
  ['and of any number in ten minutes', 100_000, 600_000],
])('what is well is looked at, %s', (_, count, ms) => {
  const others = { count, restMs: 50 };
  expect(lookAgainMs([condition('Ready', 'True', 'Idle')], now, others)).toBe(ms);
  expect(lookAgainMs([condition('Ready', 'True', 'Waking')], now, others)).toBe(10_000);
});
