import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { createAccept } from '../../../runtime/accept.ts';
import { Body } from '../../../runtime/message.ts';
import { inboxPartitionFilter, workerConsumer } from '../../../runtime/nats/names.ts';
import { consumer } from '../../operator/broker/specs.ts';
import { type Call, flowTo, integration, type Receiver, silent, startReceiver, startWorkshop } from './workshop.ts';

/* An Integration that keeps order by key, and what is to be seen of that at its receiver. */
/** Several AckWaits and take-overs, on a machine that has other things to do. */
export const inTime = (check: () => unknown) => expect.poll(check, { timeout: 150_000, interval: 50 });
export interface Ordered {
  readonly ordering?: 'Key' | 'None';
  readonly partitions?: number;
  readonly ownerTimeoutMs?: number;
  /** Short, because most tests kill workers. Where nobody is killed a machine that stands still must not look like that. */
  readonly ackWaitMs?: number;
}

/** Consumers as the operator plans them, with shorter times. */
const consumersWith = ({ ordering, partitions, ownerTimeoutMs, ackWaitMs }: Required<Ordered>) =>
  Array.from({ length: partitions }, (_, partition) => ({
    ...consumer(workerConsumer(partition), [inboxPartitionFilter(integration, partition)]),
    ackWaitMs,
    ...(ordering === 'Key' ? { maxAckPending: 16, exclusive: { ownerTimeoutMs } } : {}),
  }));

export const startOrdered = async ({
  ordering = 'Key',
  partitions = 4,
  ownerTimeoutMs = 8_000,
  ackWaitMs = 3_000,
}: Ordered = {}) => {
  const consumers = consumersWith({ ordering, partitions, ownerTimeoutMs, ackWaitMs });
  const [workshop, receiver] = await Promise.all([startWorkshop({ consumers }), startReceiver()]);
  const accept = createAccept(
    workshop.gateway,
    { tenant: 'acme', integration, partitions, key: 'body.key' },
    'in',
    silent,
  );
  const flow = flowTo(receiver.url, {
    delivery: {
      timeout: '20s',
      retry: { attempts: 8, backoff: { initial: '50ms', max: '200ms' } },
      ordering,
      key: 'body.key',
      partitions,
      concurrency: 32,
    },
  });
  /** One after the other, so that the inbox has them in this order. */
  const send = async (key: string, n: number) =>
    accept({
      attrs: { id: `${key}-${n}`, source: '/shop', type: 'order', specversion: '1.0' },
      headers: {},
      body: Body.fromValue({ key, n }),
    });
  return { workshop, receiver, flow, send };
};

export const positionOf = ({ body }: Call) => JSON.parse(body) as { key: string; n: number };

/** Calls that came after a later one of the same key. The last one of a key may be repeated: its worker died before the ack. */
export const disorder = ({ calls }: Receiver): string[] => {
  const last = new Map<string, number>();
  return calls.flatMap((call) => {
    const { key, n } = positionOf(call);
    const before = last.get(key) ?? -1;
    last.set(key, Math.max(before, n));
    return n < before ? [`${key}: ${n} after ${before}`] : [];
  });
};

/** Messages that came more than once. */
export const repeated = (receiver: Receiver): number =>
  [...receiver.counts().values()].reduce((sum, count) => sum + count - 1, 0);

/** Messages of all keys, as fast as they are received, until it is stopped; then tells their ids. */
export const startSender = ({
  keys,
  send,
  receiver,
  mostWaiting,
}: {
  readonly keys: readonly string[];
  readonly send: (key: string, n: number) => Promise<unknown>;
  readonly receiver: Receiver;
  readonly mostWaiting: number;
}) => {
  let [rounds, more] = [0, 0];
  const end = new AbortController();
  const sending = (async () => {
    while (!end.signal.aborted) {
      if (more === 0 && rounds * keys.length - receiver.counts().size > mostWaiting) await pause(20);
      else {
        more = Math.max(0, more - 1);
        await Promise.all(keys.map((key) => send(key, rounds)));
        rounds += 1;
      }
    }
  })();
  return {
    /** One round, however many wait. */
    sendMore: () => void (more += 1),
    async stop(): Promise<string[]> {
      end.abort();
      await sending;
      return keys.flatMap((key) => Array.from({ length: rounds }, (_, n) => `${key}-${n}`));
    },
  };
};
