import { deadLetter } from '../../../runtime/engine/dead-letter.ts';
import { fresh } from '../../../runtime/engine/record.ts';
import type { Flow } from '../../../runtime/flow.ts';
import type { Delivery, Transport } from '../../../runtime/transport/transport.ts';

/*
 * Transports that break one rule, for control runs: the checks that the real worker passes must fail with them.
 *   ack-before-sink   the broker forgets a message when it is delivered
 *   count-deliveries  attempts are what the broker counts
 *   max-deliver       a message that was delivered often is a dead letter, whatever happened to it
 *   one-phase         a step that drops repeats takes a message for delivered as soon as it has seen it
 *   forgets-parts     a step that gathers forgets who was in a group as soon as it has ended
 *   hurried           who gives up a partition does not wait until its messages are done, nor does who takes it over
 *   no-credit         as much is pulled as the broker gives, whatever the worker can hold
 */
export type Fault =
  | 'none'
  | 'ack-before-sink'
  | 'count-deliveries'
  | 'max-deliver'
  | 'one-phase'
  | 'forgets-parts'
  | 'hurried'
  | 'no-credit';

const mostDeliveries = 3;
const unbounded = 20_000;

/** A delivery is an object of a class: spread, it would be empty. */
export const changedDelivery = (delivery: Delivery, changes: Partial<Pick<Delivery, 'ack' | 'nak'>>): Delivery => {
  const { stream, sequence, subject, deliveries, headers, body } = delivery;
  return {
    stream,
    sequence,
    subject,
    deliveries,
    headers,
    body,
    storedMs: () => delivery.storedMs(),
    ack: () => delivery.ack(),
    nak: (delayMs) => delivery.nak(delayMs),
    working: () => delivery.working(),
    ...changes,
  };
};

const onDelivery = (transport: Transport, change: (delivery: Delivery) => Delivery | undefined): Transport => ({
  ...transport,
  consume: (consumer, options) =>
    transport.consume(consumer, {
      ...options,
      deliver: (delivery) => {
        const changed = change(delivery);
        if (changed) options.deliver(changed);
      },
    }),
});

export const faults: Readonly<Record<string, (transport: Transport, flow: Flow) => Transport>> = {
  none: (transport) => transport,
  'no-credit': (transport) => ({
    ...transport,
    consume: (consumer, options) => transport.consume(consumer, { ...options, credit: () => unbounded }),
  }),
  hurried: (transport) => ({
    ...transport,
    consume(consumer, options) {
      const consumption = transport.consume(consumer, options);
      return {
        ...consumption,
        async stop() {
          await consumption.stop();
          await consumption.handOver();
        },
      };
    },
    fill: async (consumer) => ({ ...(await transport.fill(consumer)), ackPending: 0 }),
  }),
  'ack-before-sink': (transport) =>
    onDelivery(transport, (delivery) => {
      const early = delivery.ack();
      return changedDelivery(delivery, { ack: () => early, nak: () => undefined });
    }),
  'count-deliveries': (transport) => {
    const deliveries = new Map<string, number>();
    const counting = onDelivery(transport, (delivery) => {
      deliveries.set(`orders.m.${delivery.stream}.${delivery.sequence}`, delivery.deliveries);
      return delivery;
    });
    return {
      ...counting,
      state: {
        ...transport.state,
        async read(key) {
          const found = await transport.state.read(key);
          if (!found) return found;
          const attempts = (deliveries.get(key) ?? 1) - 1;
          const record = { ...JSON.parse(Buffer.from(found.value).toString()), attempts };
          return { ...found, value: Buffer.from(JSON.stringify(record)) };
        },
      },
    };
  },
  'one-phase': (transport) => ({
    ...transport,
    state: {
      ...transport.state,
      write(key, value, revision, ttlMs) {
        const written = JSON.parse(Buffer.from(value).toString());
        if (!('origin' in written)) return transport.state.write(key, value, revision, ttlMs);
        return transport.state.write(key, Buffer.from(JSON.stringify({ ...written, state: 'done' })), revision, ttlMs);
      },
    },
  }),
  'forgets-parts': (transport) => ({
    ...transport,
    state: {
      ...transport.state,
      write(key, value, revision, ttlMs) {
        const written = JSON.parse(Buffer.from(value).toString());
        const forgotten = 'ids' in written ? Buffer.from(JSON.stringify({ ...written, ids: [] })) : value;
        return transport.state.write(key, forgotten, revision, ttlMs);
      },
    },
  }),
  'max-deliver': (transport, flow) =>
    onDelivery(transport, (delivery) => {
      if (delivery.deliveries <= mostDeliveries) return delivery;
      const failure = {
        part: 'planned',
        key: undefined,
        instruction: 'reject',
        class: 'poison',
        code: 'MaxDeliver',
        message: 'delivered too often',
        afterMs: undefined,
      } as const;
      const { record } = fresh(delivery, Date.now(), 0);
      void transport.publish(deadLetter(flow, delivery, record, failure, Date.now())).then(() => delivery.ack());
      return undefined;
    }),
};
