import type { Logger } from 'pino';
import { z } from 'zod';
import { BrokerError, type ServerFacts } from '../reconcile/ports.ts';
import type { LazyConnection } from './connection.ts';
import { reasonOf } from './failures.ts';
import { askServers } from './scatter.ts';

/*
 * What waits where, for all tenants over one connection of the system account: streams every second, consumers every ten. Polls only while
 * somebody listens. In a cluster each server tells about its own copies; only the leader's figures are right.
 */
const leader = z.object({ leader: z.string().optional() }).optional();
const consumer = z.object({
  name: z.string(),
  num_pending: z.number(),
  num_ack_pending: z.number(),
  cluster: leader,
});
const stream = z.object({
  name: z.string(),
  cluster: leader,
  state: z.object({
    messages: z.number(),
    bytes: z.number(),
    first_seq: z.number(),
    last_seq: z.number(),
    last_ts: z.string(),
  }),
  consumer_detail: z.array(consumer).nullish(),
});
const account = z.object({ name: z.string(), id: z.string().optional(), stream_detail: z.array(stream).nullish() });
const answer = z.object({
  server: z.object({ name: z.string(), ver: z.string() }),
  data: z
    .object({
      total: z.int().optional(),
      config: z.object({ sync_always: z.boolean().optional() }).optional(),
      account_details: z.array(account).nullish(),
      meta_cluster: z.object({ cluster_size: z.int() }).optional(),
    })
    .optional(),
});
type Answer = z.infer<typeof answer>;

export interface StreamLag {
  /** Public key of the account. */
  readonly account: string;
  readonly stream: string;
  /** Of a work queue: waiting and in work together. */
  readonly messages: number;
  readonly bytes: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly lastTime: string | undefined;
  /** As of the last look at consumers, up to ten seconds older than the rest. */
  readonly consumers: readonly ConsumerLag[];
}
export interface ConsumerLag {
  readonly name: string;
  readonly pending: number;
  readonly ackPending: number;
}

export interface Meter {
  /** As last seen; `undefined` for a stream that no server has, or before the first look. */
  lag(account: string, stream: string): StreamLag | undefined;
  /** Calls with all streams that changed since the last look. Polling goes on until the last listener is gone. */
  subscribe(listener: (changed: readonly StreamLag[]) => void): () => void;
  /** Looks once, consumers too. */
  look(): Promise<readonly StreamLag[]>;
  facts(): Promise<ServerFacts>;
  close(): void;
}

interface MeterOptions {
  readonly streamsEveryMs?: number;
  readonly consumersEveryMs?: number;
  readonly pageSize?: number;
}

export const createMeter = (
  connection: LazyConnection,
  serverCount: () => Promise<number>,
  log: Logger,
  { streamsEveryMs = 1_000, consumersEveryMs = 10_000, pageSize = 256 }: MeterOptions = {},
): Meter => {
  let lags = new Map<string, StreamLag>();
  const listeners = new Set<(changed: readonly StreamLag[]) => void>();
  let timer: NodeJS.Timeout | undefined;
  let consumersAt = Number.NEGATIVE_INFINITY;
  let failing = false;

  const ask = async (query: object): Promise<Answer[]> => {
    const answers = await askServers(await connection.get(), {
      subject: '$SYS.REQ.SERVER.PING.JSZ',
      payload: JSON.stringify(query),
      inboxPrefix: '_INBOX_meter',
      expected: await serverCount(),
    });
    if (answers.length === 0)
      throw new BrokerError('Unreachable', 'No NATS server told its JetStream figures within 3 s');
    return answers.map((text) => answer.parse(JSON.parse(text)));
  };

  const look = async (withConsumers: boolean): Promise<readonly StreamLag[]> => {
    const seen = new Map<string, StreamLag>();
    const consumers = new Map<string, ConsumerLag[]>();
    for (let offset = 0; ; offset += pageSize) {
      const page = await ask({ accounts: true, streams: true, consumer: withConsumers, limit: pageSize, offset });
      for (const { server, data } of page)
        for (const { name, id, stream_detail } of data?.account_details ?? [])
          for (const found of stream_detail ?? []) collect(server.name, id ?? name, found, seen, consumers);
      if (page.every(({ data }) => offset + pageSize >= (data?.total ?? 0))) break;
    }
    const next = new Map(
      [...seen].map(([key, lag]) => [
        key,
        { ...lag, consumers: withConsumers ? (consumers.get(key) ?? []) : (lags.get(key)?.consumers ?? []) },
      ]),
    );
    const changed = [...next.values()].filter((lag) => !isSame(lag, lags.get(keyOf(lag.account, lag.stream))));
    lags = next;
    return changed;
  };

  const poll = async (): Promise<void> => {
    try {
      const withConsumers = performance.now() - consumersAt >= consumersEveryMs;
      const changed = await look(withConsumers);
      if (withConsumers) consumersAt = performance.now();
      failing = false;
      if (changed.length > 0) for (const listener of listeners) listener(changed);
    } catch (error) {
      if (!failing)
        log.warn({ reason: reasonOf(error) }, 'NATS does not tell what waits in the streams; it is asked again');
      failing = true;
    }
    if (listeners.size > 0) timer = setTimeout(() => void poll(), streamsEveryMs);
    else timer = undefined;
  };

  const unsubscribe = (listener: (changed: readonly StreamLag[]) => void) => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearTimeout(timer);
    timer = undefined;
  };

  return {
    lag: (account, stream) => lags.get(keyOf(account, stream)),
    subscribe: (listener) => {
      listeners.add(listener);
      timer ??= setTimeout(() => void poll(), 0);
      return () => unsubscribe(listener);
    },
    look: async () => {
      await look(true);
      return [...lags.values()];
    },
    facts: async () => {
      const { info } = await connection.get();
      const [first, ...others] = await ask({});
      const flags = [first, ...others].map((found) => found?.data?.config?.sync_always ?? false);
      return {
        version: first?.server.ver ?? info?.version ?? 'unknown',
        maxPayload: info?.max_payload ?? 0,
        // All servers say their JetStream settings; where one has none of them, it leaves the field out.
        syncAlways: first?.data?.config ? flags.every(Boolean) : undefined,
      };
    },
    close: () => {
      listeners.clear();
      clearTimeout(timer);
    },
  };
};

const keyOf = (account: string, stream: string): string => `${account}/${stream}`;

const collect = (
  server: string,
  account: string,
  { name, cluster, state, consumer_detail }: z.infer<typeof stream>,
  seen: Map<string, StreamLag>,
  consumers: Map<string, ConsumerLag[]>,
): void => {
  const key = keyOf(account, name);
  const isLeader = !cluster?.leader || cluster.leader === server;
  if (isLeader || !seen.has(key))
    seen.set(key, {
      account,
      stream: name,
      messages: state.messages,
      bytes: state.bytes,
      firstSequence: state.first_seq,
      lastSequence: state.last_seq,
      lastTime: state.last_ts.startsWith('0001-') ? undefined : state.last_ts,
      consumers: [],
    });
  const led = (consumer_detail ?? []).filter(({ cluster: own }) => !own?.leader || own.leader === server);
  const lags = led.map(({ name: consumerName, num_pending, num_ack_pending }) => ({
    name: consumerName,
    pending: num_pending,
    ackPending: num_ack_pending,
  }));
  consumers.set(key, [...(consumers.get(key) ?? []), ...lags]);
};

const isSame = (a: StreamLag, b: StreamLag | undefined): boolean =>
  b !== undefined &&
  a.messages === b.messages &&
  a.lastSequence === b.lastSequence &&
  a.firstSequence === b.firstSequence &&
  JSON.stringify(a.consumers) === JSON.stringify(b.consumers);
