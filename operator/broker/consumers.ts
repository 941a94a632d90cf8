import { isDeepStrictEqual } from 'node:util';
import type { ConsumerConfig, ConsumerInfo, JetStreamManager, StreamInfo } from '@nats-io/jetstream';
import { ownerGroup } from '../../runtime/nats/names.ts';
import {
  BrokerError,
  type ConsumerSpec,
  type ConsumerState,
  type StreamSpec,
  type StreamState,
} from '../reconcile/ports.ts';
import { consumerNotFound, isApiError, streamNotFound } from './streams.ts';

/*
 * Durable consumers: made, compared and updated like streams. One that somebody deleted comes back; on a work queue it starts with what is
 * stored, so nothing is lost.
 */
const configOf = (spec: ConsumerSpec, metadata: Readonly<Record<string, string>>) => {
  const [first, ...more] = spec.filters;
  return {
    durable_name: spec.name,
    ack_policy: 'explicit' as const,
    ack_wait: spec.ackWaitMs * 1_000_000,
    // How often a message is delivered says nothing about attempts: the worker counts them.
    max_deliver: -1,
    max_ack_pending: spec.maxAckPending,
    filter_subject: more.length === 0 ? first : undefined,
    filter_subjects: more.length === 0 ? undefined : [...spec.filters],
    replay_policy: 'instant' as const,
    ...readersOf(spec),
    metadata: { ...metadata },
  };
};

const readersOf = ({ exclusive }: ConsumerSpec) => ({
  priority_policy: exclusive && ('pinned_client' as const),
  priority_groups: exclusive && [ownerGroup],
  priority_timeout: exclusive && exclusive.ownerTimeoutMs * 1_000_000,
});
/** As the server reports it: what is not set is absent. */
const reportedReaders = ({
  priority_policy,
  priority_groups,
  priority_timeout,
}: Partial<ReturnType<typeof configOf>> | ConsumerConfig) => ({
  policy: priority_policy || 'none',
  groups: priority_groups ?? [],
  timeout: priority_timeout ?? 0,
});

const filtersOf = ({ filter_subject, filter_subjects }: ConsumerConfig): string[] =>
  [...(filter_subjects ?? []), ...(filter_subject ? [filter_subject] : [])].sort();

const differences = (spec: ConsumerSpec, metadata: Readonly<Record<string, string>>, actual: ConsumerConfig) => {
  const wanted = configOf(spec, metadata);
  const scalars = ['ack_policy', 'ack_wait', 'max_deliver', 'max_ack_pending', 'replay_policy'] as const;
  const own = Object.fromEntries(Object.entries(actual.metadata ?? {}).filter(([key]) => !key.startsWith('_nats.')));
  return {
    // Deliver policy is not compared: it counts when the consumer is made only, then it has its own position.
    stuck: [
      ...(['ack_policy', 'replay_policy'] as const).filter((key) => wanted[key] !== actual[key]),
      ...(actual.deliver_subject ? ['deliver_subject'] : []),
    ],
    any:
      scalars.some((key) => wanted[key] !== actual[key]) ||
      !isDeepStrictEqual([...spec.filters].sort(), filtersOf(actual)) ||
      !isDeepStrictEqual(wanted.metadata, own) ||
      !isDeepStrictEqual(reportedReaders(wanted), reportedReaders(actual)) ||
      Boolean(actual.headers_only || actual.deliver_subject || actual.backoff?.length || actual.inactive_threshold) ||
      (actual.pause_until !== undefined && Date.parse(actual.pause_until) > Date.now()),
  };
};

const findConsumer = async (manager: JetStreamManager, stream: string, name: string): Promise<ConsumerInfo[]> => {
  try {
    return [await manager.consumers.info(stream, name)];
  } catch (error) {
    if (isApiError(error, consumerNotFound)) return [];
    throw error;
  }
};

const listConsumers = async (manager: JetStreamManager, stream: string): Promise<ConsumerInfo[]> => {
  const found: ConsumerInfo[] = [];
  for await (const info of manager.consumers.list(stream)) found.push(info);
  return found;
};

/** A position behind the end of the stream is of another stream that had its name. */
const beginningOf = ({ deliver }: ConsumerSpec, lastSequence: number) => {
  if (typeof deliver === 'string') return { deliver_policy: deliver };
  return deliver.after > lastSequence
    ? { deliver_policy: 'all' as const }
    : { deliver_policy: 'by_start_sequence' as const, opt_start_seq: deliver.after + 1 };
};

const ensureConsumer = async (
  manager: JetStreamManager,
  stream: StreamSpec,
  spec: ConsumerSpec,
  actual: ConsumerInfo | undefined,
  lastSequence: number,
): Promise<ConsumerInfo> => {
  const metadata = spec.metadata ?? stream.metadata;
  const config = configOf(spec, metadata);
  if (!actual) return manager.consumers.add(stream.name, { ...config, ...beginningOf(spec, lastSequence) });
  const { stuck, any } = differences(spec, metadata, actual.config);
  if (stuck.length > 0)
    throw new BrokerError(
      'Immutable',
      `Consumer ${spec.name} of stream ${stream.name}: ${stuck.join(', ')} was changed by hand and NATS cannot change it back. Delete the consumer; it is then made anew`,
    );
  if (!any) return actual;
  if (actual.config.pause_until) await manager.consumers.resume(stream.name, spec.name);
  return manager.consumers.update(stream.name, spec.name, {
    ...config,
    headers_only: false,
    backoff: [],
    inactive_threshold: 0,
  });
};

/** Others that read the stream stay as they are: removing one would lose its position. */
export const ensureConsumers = async (
  manager: JetStreamManager,
  stream: StreamSpec,
  { consumer_count: existing, last_seq: lastSequence }: Pick<StreamInfo['state'], 'consumer_count' | 'last_seq'>,
): Promise<StreamState['consumers']> => {
  if (stream.consumers.length === 0) return [];
  const [only] = stream.consumers;
  // A shared stream has many consumers of which one is asked for.
  const found =
    existing === 0
      ? []
      : stream.consumers.length === 1 && only
        ? await findConsumer(manager, stream.name, only.name)
        : await listConsumers(manager, stream.name);
  const ensured: ConsumerInfo[] = [];
  for (const spec of stream.consumers)
    ensured.push(
      await ensureConsumer(
        manager,
        stream,
        spec,
        found.find(({ name }) => name === spec.name),
        lastSequence,
      ),
    );
  return ensured.map(consumerState);
};

export const consumerStates = async (manager: JetStreamManager, stream: string): Promise<StreamState['consumers']> =>
  (await listConsumers(manager, stream)).map(consumerState);

const consumerState = ({ name, num_pending, num_ack_pending, delivered }: ConsumerInfo): ConsumerState => ({
  name,
  pending: num_pending,
  ackPending: num_ack_pending,
  delivered: delivered.stream_seq,
  ...(delivered.last_active ? { lastTime: String(delivered.last_active) } : {}),
});

export const deleteConsumer = async (
  manager: JetStreamManager,
  stream: string,
  name: string,
): Promise<'deleted' | 'absent'> => {
  try {
    await manager.consumers.delete(stream, name);
    return 'deleted';
  } catch (error) {
    if (isApiError(error, streamNotFound) || isApiError(error, consumerNotFound)) return 'absent';
    throw error;
  }
};
