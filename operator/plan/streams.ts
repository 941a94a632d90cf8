import {
  bodyStream,
  bodySubjects,
  deadLetterStream,
  deadLetterSubjects,
  inboxPartitionFilter,
  inboxStream,
  inboxSubjects,
  workerConsumer,
} from '../../runtime/nats/names.ts';
import type { EffectiveIntegration } from '../api/effective.ts';
import type { ConsumerSpec, StreamSpec } from '../reconcile/ports.ts';

export const ackWaitMs = 30_000;
const maxAckPending = 20_000;
export const duplicateWindowMs = 120_000;

interface Owner {
  readonly name: string;
  readonly uid: string;
}

/** Where an Integration's messages wait and where the failed ones are kept. */
export const planStreams = (owner: Owner, spec: EffectiveIntegration): StreamSpec[] => {
  const metadata = { 'kanava.dev/uid': owner.uid, 'kanava.dev/integration': owner.name };
  return [
    {
      name: inboxStream(owner.name),
      subjects: [inboxSubjects(owner.name)],
      retention: 'workqueue',
      // A full inbox refuses: dropping the oldest would lose what was accepted.
      discard: 'new',
      storage: spec.inbox.storage === 'Memory' ? 'memory' : 'file',
      replicas: spec.inbox.replicas,
      maxBytes: spec.inbox.maxBytes,
      duplicateWindowMs,
      metadata,
      consumers: planConsumers(owner.name, spec.delivery),
    },
    {
      name: deadLetterStream(owner.name),
      subjects: [deadLetterSubjects(owner.name)],
      retention: 'limits',
      discard: 'new',
      storage: 'file',
      replicas: spec.inbox.replicas,
      maxBytes: spec.deadLetter.maxBytes,
      maxAgeMs: spec.deadLetter.retentionMs,
      duplicateWindowMs: Math.min(duplicateWindowMs, spec.deadLetter.retentionMs),
      allowDirect: true,
      metadata,
      consumers: [],
    },
    ...(spec.inbox.largeBodies
      ? [planBodies(owner.name, { ...spec.inbox, maxBytes: spec.inbox.largeBodies.maxBytes, metadata })]
      : []),
  ];
};

/** On disk in any case: dead letters, which are there too, refer to it. Without an age: messages may wait as long as they like. */
const planBodies = (
  integration: string,
  { maxBytes, replicas, metadata }: Pick<StreamSpec, 'maxBytes' | 'replicas' | 'metadata'>,
): StreamSpec => ({
  name: bodyStream(integration),
  subjects: [bodySubjects(integration)],
  retention: 'limits',
  discard: 'new',
  storage: 'file',
  replicas,
  maxBytes,
  duplicateWindowMs,
  maxMsgsPerSubject: 1,
  allowDirect: true,
  allowMsgTtl: true,
  metadata,
  consumers: [],
});

/** Pulls of an owner are renewed every 5 s. */
const ownerTimeoutMs = 15_000;

/**
 * Where order is kept nothing is parked, and what is unacknowledged in a partition is all in one worker: the window bounds what a worker
 * holds, and makes sure that one who takes over has room for everything that another held.
 */
export const planReaders = (
  { ordering, concurrency }: Pick<EffectiveIntegration['delivery'], 'ordering' | 'concurrency'>,
  partitions: number,
): Pick<ConsumerSpec, 'maxAckPending' | 'exclusive'> =>
  ordering === 'Key'
    ? { maxAckPending: Math.max(2, Math.ceil((2 * concurrency) / partitions)), exclusive: { ownerTimeoutMs } }
    : { maxAckPending };

const planConsumers = (integration: string, delivery: EffectiveIntegration['delivery']): ConsumerSpec[] =>
  Array.from({ length: delivery.partitions }, (_, partition) => ({
    name: workerConsumer(partition),
    filters: [inboxPartitionFilter(integration, partition)],
    ackWaitMs,
    deliver: 'all',
    ...planReaders(delivery, delivery.partitions),
  }));
