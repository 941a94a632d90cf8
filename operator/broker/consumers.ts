import { isDeepStrictEqual } from 'node:util';
import type { ConsumerConfig, ConsumerInfo, JetStreamManager } from '@nats-io/jetstream';
import { BrokerError, type ConsumerSpec, type StreamSpec, type StreamState } from '../reconcile/ports.ts';

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
    metadata: { ...metadata },
  };
};

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
      Boolean(actual.headers_only || actual.deliver_subject || actual.backoff?.length || actual.inactive_threshold) ||
      (actual.pause_until !== undefined && Date.parse(actual.pause_until) > Date.now()),
  };
};

const listConsumers = async (manager: JetStreamManager, stream: string): Promise<ConsumerInfo[]> => {
  const found: ConsumerInfo[] = [];
  for await (const info of manager.consumers.list(stream)) found.push(info);
  return found;
};

const ensureConsumer = async (
  manager: JetStreamManager,
  stream: StreamSpec,
  spec: ConsumerSpec,
  actual: ConsumerInfo | undefined,
): Promise<ConsumerInfo> => {
  const config = configOf(spec, stream.metadata);
  if (!actual) return manager.consumers.add(stream.name, { ...config, deliver_policy: spec.deliver });
  const { stuck, any } = differences(spec, stream.metadata, actual.config);
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
  existing: number,
): Promise<StreamState['consumers']> => {
  const found = existing === 0 ? [] : await listConsumers(manager, stream.name);
  const ensured: ConsumerInfo[] = [];
  for (const spec of stream.consumers)
    ensured.push(
      await ensureConsumer(
        manager,
        stream,
        spec,
        found.find(({ name }) => name === spec.name),
      ),
    );
  return ensured.map(consumerState);
};

export const consumerStates = async (manager: JetStreamManager, stream: string): Promise<StreamState['consumers']> =>
  (await listConsumers(manager, stream)).map(consumerState);

const consumerState = ({ name, num_pending, num_ack_pending }: ConsumerInfo) => ({
  name,
  pending: num_pending,
  ackPending: num_ack_pending,
});
