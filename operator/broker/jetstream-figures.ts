import { z } from 'zod';
import type { ConsumerLag } from '../reconcile/ports.ts';

/*
 * What a server tells of its streams and consumers (`JSZ`). In a cluster each tells about its own copies; only the leader's figures are
 * right. There may be ten thousand streams in it every second: they are checked where they are and not copied, which takes half as long.
 */
interface Led {
  readonly cluster?: { readonly leader?: string };
}
interface Consumer extends Led {
  readonly name: string;
  readonly delivered: { readonly consumer_seq: number };
  readonly num_pending: number;
  readonly num_ack_pending: number;
}
interface Stream extends Led {
  readonly name: string;
  readonly state: StreamFigures;
  readonly consumer_detail?: readonly Consumer[] | null;
}
interface Account {
  readonly name: string;
  readonly id?: string;
  readonly stream_detail?: readonly Stream[] | null;
}
interface StreamFigures {
  readonly messages: number;
  readonly bytes: number;
  readonly first_seq: number;
  readonly last_seq: number;
  readonly last_ts: string;
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isNumber = (value: unknown): value is number => typeof value === 'number';
const isListOf = <Item>(value: unknown, isItem: (item: unknown) => item is Item): boolean =>
  value === undefined || value === null || (Array.isArray(value) && value.every(isItem));

/** A single server leads everything and says nothing of it. */
const isLed = ({ cluster }: Led): boolean =>
  cluster === undefined || (cluster !== null && (cluster.leader === undefined || isText(cluster.leader)));
const isConsumer = (value: unknown): value is Consumer => {
  const found = value as Consumer | null;
  return (
    isText(found?.name) &&
    isNumber(found.delivered?.consumer_seq) &&
    isNumber(found.num_pending) &&
    isNumber(found.num_ack_pending) &&
    isLed(found)
  );
};
const isStream = (value: unknown): value is Stream => {
  const found = value as Stream | null;
  const state = found?.state;
  return (
    isText(found?.name) &&
    isNumber(state?.messages) &&
    isNumber(state.bytes) &&
    isNumber(state.first_seq) &&
    isNumber(state.last_seq) &&
    isText(state.last_ts) &&
    isLed(found) &&
    isListOf(found.consumer_detail, isConsumer)
  );
};
const isAccount = (value: unknown): value is Account => {
  const found = value as Account | null;
  return isText(found?.name) && (found.id === undefined || isText(found.id)) && isListOf(found.stream_detail, isStream);
};

const answer = z.object({
  server: z.object({ name: z.string(), ver: z.string() }),
  data: z
    .object({
      total: z.int().optional(),
      config: z.object({ sync_always: z.boolean().optional() }).optional(),
      account_details: z.array(z.custom<Account>(isAccount, 'not the figures of an account')).nullish(),
    })
    .optional(),
});
/** What one server said. */
export type Figures = z.infer<typeof answer>;
export const readFigures = (text: string): Figures => answer.parse(JSON.parse(text));

export interface Found {
  readonly state: StreamFigures;
  readonly consumers: readonly ConsumerLag[];
  readonly isLeader: boolean;
}
/** By account and stream. */
export type Seen = Map<string, Map<string, Found>>;

/** Adds what the servers said to what is seen so far. */
export const collect = (answers: readonly Figures[], seen: Seen): void => {
  for (const { server, data } of answers)
    for (const { name, id = name, stream_detail } of data?.account_details ?? []) {
      let ofAccount = seen.get(id);
      if (!ofAccount) seen.set(id, (ofAccount = new Map()));
      for (const found of stream_detail ?? [])
        ofAccount.set(found.name, merged(server.name, found, ofAccount.get(found.name)));
    }
};

const merged = (server: string, { cluster, state, consumer_detail }: Stream, before: Found | undefined): Found => {
  const isLeader = !cluster?.leader || cluster.leader === server;
  const consumers = consumer_detail?.length ? ledBy(server, consumer_detail) : [];
  if (!before) return { state, isLeader, consumers };
  return {
    state: before.isLeader || !isLeader ? before.state : state,
    isLeader: isLeader || before.isLeader,
    // A consumer is led by one server, maybe not by the one that leads its stream.
    consumers: [...before.consumers, ...consumers],
  };
};

const ledBy = (server: string, consumers: readonly Consumer[]): ConsumerLag[] =>
  consumers
    .filter(({ cluster }) => !cluster?.leader || cluster.leader === server)
    .map(({ name, num_pending, num_ack_pending, delivered }) => ({
      name,
      pending: num_pending,
      ackPending: num_ack_pending,
      delivered: delivered.consumer_seq,
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
