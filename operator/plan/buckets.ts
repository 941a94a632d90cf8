import { answerBucket, bucketStream, bucketSubjects, gatewayBucket, stateBucket } from '../../runtime/nats/names.ts';
import type { StreamSpec } from '../reconcile/ports.ts';

const mebibyte = 1024 * 1024;
/**
 * State of messages that failed once and of steps that remember; the route table with its applied revisions; answers for requests that are
 * repeated, of which the oldest make room.
 */
const sizes: readonly (readonly [bucket: string, Pick<StreamSpec, 'maxBytes' | 'discard' | 'maxAgeMs'>])[] = [
  [stateBucket, { maxBytes: 64 * mebibyte, discard: 'new' }],
  [gatewayBucket, { maxBytes: 32 * mebibyte, discard: 'new' }],
  [answerBucket, { maxBytes: 16 * mebibyte, discard: 'old', maxAgeMs: 3_600_000 }],
];

/** A tenant's key-value buckets, as the streams that they are. Never with rollup headers: one writer could wipe everybody's keys. */
export const planBuckets = (tenant: { uid: string; replicas: number }): StreamSpec[] =>
  sizes.map(([bucket, size]) => ({
    name: bucketStream(bucket),
    subjects: [bucketSubjects(bucket)],
    retention: 'limits',
    storage: 'file',
    replicas: tenant.replicas,
    ...size,
    maxMsgsPerSubject: 1,
    allowDirect: true,
    allowMsgTtl: true,
    metadata: { 'kanava.dev/uid': tenant.uid },
    consumers: [],
  }));

/** What the streams of a tenant may take together, every copy counted, against what its account may store. */
export const capacity = (
  streams: readonly Pick<StreamSpec, 'storage' | 'maxBytes' | 'replicas'>[],
  limits: { storage: number; memory: number },
): { file: number; memory: number; ok: boolean } => {
  const sum = (storage: StreamSpec['storage']) =>
    streams
      .filter((stream) => stream.storage === storage)
      .reduce((total, stream) => total + stream.maxBytes * stream.replicas, 0);
  const [file, memory] = [sum('file'), sum('memory')];
  return { file, memory, ok: file <= limits.storage && memory <= limits.memory };
};
