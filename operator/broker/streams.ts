import { isDeepStrictEqual } from 'node:util';
import { JetStreamApiError, type JetStreamManager, type StreamConfig, type StreamInfo } from '@nats-io/jetstream';
import { BrokerError, type StreamSpec, type StreamState } from '../reconcile/ports.ts';

/*
 * Streams are read, compared and updated; never deleted and made again, because what they hold was accepted.
 */
const nanoseconds = (ms: number): number => ms * 1_000_000;

/** Every field that decides about messages, written out, so that a hand-made change is seen and undone. */
const configOf = (spec: StreamSpec) =>
  ({
    name: spec.name,
    subjects: [...spec.subjects],
    retention: spec.retention,
    discard: spec.discard,
    discard_new_per_subject: false,
    storage: spec.storage,
    num_replicas: spec.replicas,
    max_bytes: spec.maxBytes,
    max_msgs: -1,
    // A size limit would refuse messages for good that the sender cannot make smaller.
    max_msg_size: -1,
    max_age: nanoseconds(spec.maxAgeMs ?? 0),
    max_consumers: spec.maxConsumers ?? -1,
    max_msgs_per_subject: spec.maxMsgsPerSubject ?? -1,
    duplicate_window: nanoseconds(spec.duplicateWindowMs ?? 120_000),
    allow_direct: spec.allowDirect ?? false,
    allow_msg_ttl: spec.allowMsgTtl ?? false,
    allow_msg_schedules: spec.allowSchedules ?? false,
    allow_rollup_hdrs: spec.allowSchedules ?? false,
    ...(spec.allowBatches === undefined ? {} : { allow_atomic: spec.allowBatches }),
    no_ack: false,
    sealed: false,
    deny_delete: false,
    deny_purge: false,
    metadata: { ...spec.metadata },
  }) satisfies Partial<StreamConfig>;
type Config = ReturnType<typeof configOf>;

/** Absent from what we make; set by hand, they move, copy or lose messages. */
const forbidden = [
  'sources',
  'mirror',
  'republish',
  'subject_transform',
  'subject_delete_marker_ttl',
  'consumer_limits',
  'allow_msg_counter',
] as const;

/** The server refuses to change these; `no-way-back` can be switched on only. */
const immutable: readonly (keyof Config)[] = ['retention', 'storage', 'max_consumers'];
const noWayBack: readonly (keyof Config)[] = ['allow_msg_ttl', 'allow_msg_schedules', 'sealed'];

/** The server leaves out what is false, zero or empty. */
const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === false ||
  value === 0 ||
  (typeof value === 'object' && Object.keys(value).length === 0);

const ownMetadata = (metadata: Readonly<Record<string, string>> | undefined): Record<string, string> =>
  // The server adds its own `_nats.` entries.
  Object.fromEntries(Object.entries(metadata ?? {}).filter(([key]) => !key.startsWith('_nats.')));

const differs = (wanted: Config, actual: StreamConfig, key: keyof Config): boolean => {
  if (wanted[key] === actual[key]) return false;
  if (key === 'metadata') return !isDeepStrictEqual(wanted.metadata, ownMetadata(actual.metadata));
  if (key === 'subjects') return !isDeepStrictEqual([...wanted.subjects].sort(), [...(actual.subjects ?? [])].sort());
  return !(isEmpty(wanted[key]) && isEmpty(actual[key])) && !isDeepStrictEqual(wanted[key], actual[key]);
};

/** Names of the fields in which a stream is not what it should be. */
export const streamDifferences = (spec: StreamSpec, actual: StreamConfig): string[] => {
  const wanted = configOf(spec);
  const own = (Object.keys(wanted) as (keyof Config)[]).filter((key) => differs(wanted, actual, key));
  return [...own, ...forbidden.filter((key) => !isEmpty(actual[key]))];
};

const refuseImpossible = (spec: StreamSpec, actual: StreamConfig): void => {
  const wanted = configOf(spec);
  const stuck = [
    ...immutable.filter((key) => differs(wanted, actual, key)),
    ...noWayBack.filter((key) => differs(wanted, actual, key) && isEmpty(wanted[key])),
    ...(isEmpty(actual.mirror) ? [] : ['mirror']),
  ];
  if (stuck.length === 0) return;
  const values = stuck.map((key) => {
    const field = key as keyof Config;
    return `${field} is ${JSON.stringify(actual[field] ?? false)} and should be ${JSON.stringify(wanted[field])}`;
  });
  throw new BrokerError(
    'Immutable',
    `Stream ${spec.name}: ${values.join(', ')}, which NATS cannot change. Put the old value back, or let the stream run empty and delete it; it is then made anew`,
  );
};

export const streamNotFound = 10059;
export const consumerNotFound = 10014;
const streamNameInUse = 10058;
export const isApiError = (error: unknown, code: number): boolean =>
  error instanceof JetStreamApiError && error.code === code;

export const findStream = async (manager: JetStreamManager, name: string): Promise<StreamInfo | undefined> => {
  try {
    return await manager.streams.info(name);
  } catch (error) {
    if (isApiError(error, streamNotFound)) return undefined;
    throw error;
  }
};

export const deleteStream = async (manager: JetStreamManager, name: string): Promise<void> => {
  try {
    await manager.streams.delete(name);
  } catch (error) {
    if (!isApiError(error, streamNotFound)) throw error;
  }
};

/** Some options switch others on silently: rollup headers let one writer wipe everybody's messages. The answer has what is kept. */
const verified = (info: StreamInfo, spec: StreamSpec): StreamInfo => {
  const left = streamDifferences(spec, info.config);
  if (left.length > 0)
    throw new BrokerError(
      'Invalid',
      `Stream ${spec.name}: NATS took the configuration and keeps others of ${left.join(', ')}; the server may be older than 2.14`,
    );
  return info;
};

/** NATS makes a stream again that is there with the same configuration, and refuses another one. */
const makeStream = async (manager: JetStreamManager, spec: StreamSpec): Promise<StreamInfo | undefined> => {
  try {
    return verified(await manager.streams.add(configOf(spec)), spec);
  } catch (error) {
    if (isApiError(error, streamNameInUse)) return undefined;
    throw error;
  }
};

export const ensureStreamConfig = async (
  manager: JetStreamManager,
  spec: StreamSpec,
  isNew: boolean,
): Promise<StreamInfo> => {
  const made = isNew ? await makeStream(manager, spec) : undefined;
  if (made) return made;
  const actual = await findStream(manager, spec.name);
  if (!actual) return verified(await manager.streams.add(configOf(spec)), spec);
  if (streamDifferences(spec, actual.config).length === 0) return actual;
  refuseImpossible(spec, actual.config);
  const cleared = Object.fromEntries(forbidden.map((key) => [key, undefined]));
  return verified(await manager.streams.update(spec.name, { ...cleared, ...configOf(spec) }), spec);
};

export const stateOf = (info: StreamInfo, consumers: StreamState['consumers']): StreamState => {
  const { messages, bytes, first_seq, last_seq, last_ts } = info.state;
  return {
    name: info.config.name,
    messages,
    bytes,
    firstSequence: first_seq,
    lastSequence: last_seq,
    // The zero time of Go: nothing was ever stored.
    ...(last_seq === 0 || last_ts.startsWith('0001-') ? {} : { lastTime: last_ts }),
    consumers,
  };
};
