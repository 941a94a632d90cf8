import { describe, expect, it } from 'vitest';
import { planAccepted, readAccepted } from '../../../operator/plan/accepted.ts';
import { planAccountKeys, readAccountKeys } from '../../../operator/plan/account.ts';
import { capacity, planBuckets } from '../../../operator/plan/buckets.ts';
import { canonicalJson } from '../../../operator/plan/canonical.ts';
import { isInside, parseRange } from '../../../operator/plan/cidr.ts';
import { isRenewalDue, planCredentials, withoutCredentials } from '../../../operator/plan/credentials.ts';
import { isUpToDate, sealed } from '../../../operator/plan/drift.ts';
import { unusedFlows } from '../../../operator/plan/flow.ts';
import { isScaled, sharesReplicas, withReplicas } from '../../../operator/plan/scaling.ts';
import { planStreams } from '../../../operator/plan/streams.ts';
import type { KubeObject } from '../../../operator/reconcile/ports.ts';
import { home, resolved } from './fixtures.ts';

const hour = 3_600_000;

describe('credentials', () => {
  const issued = (expiresAt: number) =>
    planCredentials(home, 'nats-worker-orders', 'worker', { creds: 'text', expiresAt, account: 'A1' });
  it.each([
    ['none are there', undefined, 0, true],
    ['they are young', issued(24 * hour), 15 * hour, false],
    ['two thirds of their life are gone', issued(24 * hour), 16 * hour, true],
    ['they have run out', issued(24 * hour), 30 * hour, true],
    [
      'they are of an account that is gone',
      {
        ...issued(24 * hour),
        metadata: { ...issued(24 * hour).metadata, annotations: { 'kanava.dev/account': 'A0' } },
      },
      0,
      true,
    ],
    ['somebody emptied them', { ...issued(24 * hour), data: {} }, 0, true],
  ] as const)('%s', (_why, secret, now, due) => {
    expect(isRenewalDue(secret, 'A1', 24 * hour, now)).toBe(due);
    expect(isRenewalDue(secret && withoutCredentials(secret), 'A1', 24 * hour, now)).toBe(due);
  });
  it('are not kept; Secrets of others are', () => {
    expect(withoutCredentials(issued(hour))['data']).toEqual({});
    const other = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'erp' }, data: { creds: 'text' } };
    expect(withoutCredentials(other)).toBe(other);
  });
});

describe('drift', () => {
  const desired = sealed({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'd', labels: { a: '1' } },
    spec: { containers: [{ name: 'c', image: 'i', env: [] }], list: ['x', 'y'], empty: {} },
  });
  const stored = (change: object = {}) => ({
    ...desired,
    metadata: { ...desired.metadata, uid: 'u', resourceVersion: '5' },
    spec: {
      containers: [{ name: 'other' }, { name: 'c', image: 'i', pull: 'Always' }],
      list: ['x', 'y'],
      defaulted: true,
      ...change,
    },
  });
  it('is not what the server adds', () => expect(isUpToDate(desired, stored())).toBe(true));
  it('is a field of ours that changed', () =>
    expect(isUpToDate(desired, stored({ containers: [{ name: 'c', image: 'evil' }] }))).toBe(false));
  it('is a list that grew', () => expect(isUpToDate(desired, stored({ list: ['x', 'y', 'z'] }))).toBe(false));
  it('is a field that the plan dropped', () => {
    const less = sealed({ ...desired, metadata: { name: 'd', labels: { a: '1' } }, spec: { list: ['x', 'y'] } });
    expect(isUpToDate(less, stored())).toBe(false);
  });
  it('never hashes the values of a Secret', () => {
    const secret = (value: string) =>
      sealed({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, data: { key: value } });
    expect(secret('a').metadata.annotations).toEqual(secret('b').metadata.annotations);
    expect(isUpToDate(secret('a'), secret('b'))).toBe(false);
  });
});

describe('replicas', () => {
  const deployment = (replicas: number | undefined, managers: Record<string, boolean>): KubeObject => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: 'w',
      managedFields: Object.entries(managers).map(([manager, owns]) => ({
        manager,
        fieldsV1: { 'f:spec': owns ? { 'f:replicas': {} } : {} },
      })),
    },
    spec: replicas === undefined ? {} : { replicas },
  });
  const planned = deployment(undefined, {});
  it('are none at the first apply', () => expect(withReplicas(planned, undefined)['spec']).toEqual({ replicas: 0 }));
  it('are the live ones until the scaler has them', () =>
    expect(withReplicas(planned, deployment(4, { 'kanava-operator': true }))['spec']).toEqual({ replicas: 4 }));
  it('are left out once they are the scaler’s', () =>
    expect(withReplicas(planned, deployment(4, { 'kanava-scaler': true }))['spec']).toEqual({}));
  it('are let go of when both have them', () => {
    expect(sharesReplicas(deployment(1, { 'kanava-scaler': true, 'kanava-operator': true }))).toBe(true);
    expect(sharesReplicas(deployment(1, { 'kanava-scaler': true, 'kanava-operator': false }))).toBe(false);
  });
  it('are set again when somebody scaled by hand', () =>
    expect(isScaled(deployment(7, { kubectl: true, 'kanava-scaler': false }), 1)).toBe(false));
});

describe('records', () => {
  it('read account keys back, and never half of them', () => {
    const keys = {
      account: 'A',
      accountSeed: 'SA',
      signing: { worker: 'w', intake: 'i', gateway: 'g', ops: 'o', replay: 'r' },
    };
    const secret = planAccountKeys('acme', 'kanava-system', keys);
    expect(readAccountKeys(secret)).toEqual(keys);
    // Claims, signers and looks at the account are remembered by them.
    expect(readAccountKeys(secret)).toBe(readAccountKeys(secret));
    const { account: _account, ...rest } = secret['data'] as Record<string, string>;
    expect(readAccountKeys({ ...secret, data: rest })).toBeUndefined();
  });

  it('read the accepted spec back to the same flow, for the same object only', () => {
    const { source, hash } = resolved();
    const record = planAccepted(home, { uid: 'uid-1', generation: 4, hash, ...source });
    const read = readAccepted(record, 'uid-1');
    expect(read).toMatchObject({ generation: 4, hash });
    expect(canonicalJson(read?.spec)).toBe(canonicalJson(source.spec));
    expect(readAccepted(record, 'uid-2')).toBeUndefined();
    expect(readAccepted({ ...record, data: { ...(record['data'] as object), 'spec.json': '{' } })).toBeUndefined();
  });

  it('keep flows that something still names', () => {
    const flow = (name: string): KubeObject => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } });
    const mounting = (name: string): KubeObject => ({
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: { name: `rs-${name}` },
      spec: { template: { spec: { volumes: [{ projected: { sources: [{ configMap: { name } }] } }] } } },
    });
    expect(unusedFlows(['f1', 'f2', 'f3'].map(flow), { accepted: 'f3', workloads: [mounting('f2')] })).toEqual(['f1']);
  });
});

describe('streams', () => {
  it('never drop what was accepted, and name every limit', () => {
    const [inbox, deadLetters] = planStreams(home.integration, resolved().spec);
    expect(inbox).toMatchObject({
      name: 'inbox_orders',
      retention: 'workqueue',
      discard: 'new',
      maxBytes: 32 * 2 ** 20,
      duplicateWindowMs: 120_000,
    });
    expect(inbox?.consumers).toEqual([
      { name: 'worker-0', filters: ['inbox.orders.0.*'], ackWaitMs: 30_000, maxAckPending: 20_000, deliver: 'all' },
    ]);
    const { delivery } = resolved().spec;
    const inOrder = { ...delivery, ordering: 'Key', key: 'body.id', partitions: 4 } as const;
    const [keyed] = planStreams(home.integration, { ...resolved().spec, delivery: inOrder });
    expect(
      keyed?.consumers.map(({ name, maxAckPending, exclusive }) => [name, maxAckPending, exclusive]),
      'a small window in the hands of one worker',
    ).toEqual([0, 1, 2, 3].map((partition) => [`worker-${partition}`, 32, { ownerTimeoutMs: 15_000 }]));
    expect(deadLetters).toMatchObject({
      name: 'dlq_orders',
      discard: 'new',
      maxAgeMs: 168 * hour,
      maxBytes: 16 * 2 ** 20,
    });
  });
  it('of large bodies are there where they are taken, on disk, and are counted', () => {
    const { spec } = resolved();
    expect(planStreams(home.integration, spec)).toHaveLength(2);
    const largeBodies = { largest: 2 ** 20, maxBytes: 2 ** 26 };
    const [, , bodies] = planStreams(home.integration, {
      ...spec,
      inbox: { ...spec.inbox, storage: 'Memory', replicas: 3, largeBodies },
    });
    expect(bodies).toMatchObject({
      name: 'body_orders',
      subjects: ['body.orders.*.*'],
      retention: 'limits',
      discard: 'new',
      storage: 'file',
      replicas: 3,
      maxBytes: 2 ** 26,
      maxMsgsPerSubject: 1,
      allowDirect: true,
      allowMsgTtl: true,
    });
    expect(bodies?.maxAgeMs, 'messages may wait as long as they like').toBeUndefined();
  });
  it('are counted with every copy', () => {
    const buckets = planBuckets({ uid: 'u', replicas: 3 });
    const { file, ok } = capacity(buckets, { storage: 112 * 3 * 2 ** 20, memory: 0 });
    expect([file, ok]).toEqual([112 * 3 * 2 ** 20, true]);
    expect(capacity(buckets, { storage: 112 * 3 * 2 ** 20 - 1, memory: 0 }).ok).toBe(false);
  });
});

describe('ranges', () => {
  it.each([
    '10.0.0.0/33',
    '10.0.0/8',
    '300.1.1.1',
    'fd00::1::2',
    ':::',
    '1:2:3',
    'name',
    '10.0.0.0/8/8',
    '',
    'fd00::/129',
  ])('"%s" is none', (text) => expect(parseRange(text)).toBeUndefined());
  it.each([
    ['10.1.2.3', '10.0.0.0/8', true],
    ['11.1.2.3', '10.0.0.0/8', false],
    ['fd00:1::7', 'fd00::/8', true],
    ['::ffff:10.0.0.1', '::ffff:0:0/96', true],
    ['10.0.0.0/8', '10.0.0.0/16', false],
    ['10.0.0.1', '::/0', false],
  ])('%s inside %s: %s', (inner, outer, inside) => {
    const [a, b] = [parseRange(inner), parseRange(outer)];
    expect(a && b && isInside(a, b)).toBe(inside);
  });
});
