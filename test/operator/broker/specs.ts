import type { StreamSpec } from '../../../operator/reconcile/ports.ts';
import {
  bodyStream,
  bodySubjects,
  bucketStream,
  bucketSubjects,
  busStream,
  busSubjects,
  deadLetterStream,
  deadLetterSubjects,
  inboxPartitionFilter,
  inboxStream,
  inboxSubjects,
  tickStream,
  tickSubjects,
  workerConsumer,
} from '../../../runtime/nats/names.ts';

/*
 * Streams as design has them, for tests below the planner. `changed` replaces fields.
 */
const metadata = { 'kanava.dev/uid': 'uid-1' };
const base = { storage: 'file', replicas: 1, maxBytes: 1024 ** 2, metadata, consumers: [] } as const;
export const consumer = (name: string, filters: readonly string[] = []) =>
  ({ name, filters, ackWaitMs: 30_000, maxAckPending: 20_000, deliver: 'all' }) as const;

export const inboxSpec = (integration: string, changed: Partial<StreamSpec> = {}): StreamSpec => ({
  ...base,
  name: inboxStream(integration),
  subjects: [inboxSubjects(integration)],
  retention: 'workqueue',
  discard: 'new',
  duplicateWindowMs: 120_000,
  consumers: [consumer(workerConsumer(0), [inboxPartitionFilter(integration, 0)])],
  ...changed,
});

export const deadLetterSpec = (integration: string, changed: Partial<StreamSpec> = {}): StreamSpec => ({
  ...base,
  name: deadLetterStream(integration),
  subjects: [deadLetterSubjects(integration)],
  retention: 'limits',
  discard: 'new',
  maxAgeMs: 7 * 24 * 3600 * 1000,
  allowDirect: true,
  ...changed,
});

export const bodySpec = (integration: string, changed: Partial<StreamSpec> = {}): StreamSpec => ({
  ...base,
  name: bodyStream(integration),
  subjects: [bodySubjects(integration)],
  retention: 'limits',
  discard: 'new',
  maxBytes: 256 * 1024 ** 2,
  maxMsgsPerSubject: 1,
  allowDirect: true,
  allowMsgTtl: true,
  ...changed,
});

export const bucketSpec = (bucket: string, changed: Partial<StreamSpec> = {}): StreamSpec => ({
  ...base,
  name: bucketStream(bucket),
  subjects: [bucketSubjects(bucket)],
  retention: 'limits',
  discard: 'new',
  maxMsgsPerSubject: 1,
  allowDirect: true,
  allowMsgTtl: true,
  ...changed,
});

export const busSpec = (subscribers: readonly string[]): StreamSpec => ({
  ...base,
  name: busStream,
  subjects: [busSubjects],
  retention: 'limits',
  discard: 'old',
  maxConsumers: 100,
  consumers: subscribers.map((name) => consumer(name, ['bus.*'])),
});

export const tickSpec = (subscribers: readonly string[]): StreamSpec => ({
  ...base,
  name: tickStream,
  subjects: tickSubjects,
  retention: 'limits',
  discard: 'old',
  maxMsgsPerSubject: 1,
  allowDirect: true,
  allowMsgTtl: true,
  allowSchedules: true,
  consumers: subscribers.map((name) => consumer(name, [`tick.${name}.*`])),
});
