import { describe, expect, it } from 'vitest';
import type { StreamSpec } from '../../operator/reconcile/ports.ts';
import type { Delivery, Entry, Transport } from '../../runtime/transport/transport.ts';
import { bodySpec, bucketSpec, consumer, deadLetterSpec, inboxSpec, tickSpec } from '../operator/broker/specs.ts';

/*
 * What every transport promises to the engine. One opts in with a few lines: how it comes into being with these streams, and how somebody
 * else (an intake, the broker's own clock) puts messages into them.
 */
export interface TransportUnderTest {
  readonly transport: Transport;
  /** As somebody with other rights than the worker's. */
  put(entry: Pick<Entry, 'subject' | 'id'> & { readonly body?: string }): Promise<void>;
  stored(stream: string): Promise<number>;
}
export type MakeTransport = (streams: readonly StreamSpec[]) => Promise<TransportUnderTest>;

export const ackWaitMs = 1_500;
export const inbox = { stream: 'inbox_orders', name: 'worker-0' };
export const inboxSubject = 'inbox.orders.0.in';

/** `most` limits what may be delivered and unacknowledged. */
export const streamsOfOrders = ({ maxBytes = 1024 ** 2, most = 20_000, waitMs = ackWaitMs } = {}): StreamSpec[] => [
  inboxSpec('orders', {
    maxBytes,
    consumers: [{ ...consumer(inbox.name, ['inbox.orders.0.*']), ackWaitMs: waitMs, maxAckPending: most }],
  }),
  deadLetterSpec('orders', { maxBytes }),
  bucketSpec('state'),
  tickSpec(['orders']),
];

const entry = (id: string, body = 'x', subject = inboxSubject): Entry => ({
  subject,
  id,
  headers: { 'ce-id': id },
  body: Buffer.from(body),
});
const eventually = (check: () => unknown, why = '') =>
  expect.poll(check, { timeout: 60_000, interval: 20, message: why });

/** Reads with a fixed credit; what came is kept. */
const read = (transport: Transport, credit: number, consumed: { stream: string; name: string } = inbox) => {
  const deliveries: Delivery[] = [];
  let free = credit;
  const consumption = transport.consume(consumed, {
    credit: () => free,
    deliver: (delivery) => {
      free -= 1;
      deliveries.push(delivery);
    },
  });
  const ids = () => deliveries.map(({ headers }) => headers['ce-id']);
  return {
    deliveries,
    ids,
    stop: () => consumption.stop(),
    allow(more: number) {
      free += more;
      consumption.more();
    },
  };
};
const at = <T>(list: readonly T[], index: number): T => {
  const found = list.at(index);
  if (found === undefined) throw new Error(`there is no item ${index} of ${list.length}`);
  return found;
};

export const transportConformance = (name: string, make: MakeTransport): void => {
  describe(`${name}: publish`, { timeout: 120_000 }, () => {
    it('stores a message once, however often it is sent', async () => {
      const { transport, stored } = await make(streamsOfOrders());
      expect(await transport.publish(entry('a'))).toEqual({ sequence: 1, duplicate: false });
      expect(await transport.publish(entry('a', 'other'))).toEqual({ sequence: 1, duplicate: true });
      expect(await transport.publish(entry('b'))).toEqual({ sequence: 2, duplicate: false });
      expect(await stored('inbox_orders')).toBe(2);
    });

    it('refuses what does not fit any more, takes it when there is room again, and loses nothing', async () => {
      const { transport, stored } = await make(streamsOfOrders({ maxBytes: 100_000, waitMs: 120_000 }));
      const body = 'x'.repeat(30_000);
      for (const id of ['a', 'b', 'c']) await transport.publish(entry(id, body));
      await expect(transport.publish(entry('d', body))).rejects.toMatchObject({ code: 'StreamFull' });
      expect(await stored('inbox_orders')).toBe(3);
      const reader = read(transport, 1);
      await eventually(reader.ids).toEqual(['a']);
      await at(reader.deliveries, 0).ack();
      await eventually(() => transport.publish(entry('d', body)).then(() => 'stored', String)).toBe('stored');
      reader.allow(3);
      await eventually(reader.ids).toEqual(['a', 'b', 'c', 'd']);
    });

    it('refuses what no stream takes and what is too large', async () => {
      const { transport } = await make(streamsOfOrders().filter(({ name }) => name !== 'dlq_orders'));
      await expect(transport.publish(entry('a', 'x', 'dlq.orders.out'))).rejects.toMatchObject({ code: 'NoStream' });
      const large = 'x'.repeat(transport.maxPayload() + 1);
      await expect(transport.publish(entry('a', large))).rejects.toMatchObject({ code: 'TooLarge' });
    });

    it('keeps headers and bytes as they are', async () => {
      const { transport } = await make(streamsOfOrders());
      const body = Buffer.from([0, 13, 10, 255, 128]);
      const headers = { 'ce-id': 'a', 'header-x': 'a: b', empty: '' };
      await transport.publish({ subject: inboxSubject, id: 'in/1', headers, body });
      body.fill(7);
      const { deliveries } = read(transport, 1);
      await eventually(() => deliveries.length).toBe(1);
      const delivery = at(deliveries, 0);
      expect(delivery).toMatchObject({ stream: 'inbox_orders', sequence: 1, subject: inboxSubject, deliveries: 1 });
      expect(delivery.headers).toEqual({ ...headers, 'Nats-Msg-Id': 'in/1' });
      expect([...delivery.body]).toEqual([0, 13, 10, 255, 128]);
    });
  });

  describe(`${name}: consume`, { timeout: 120_000 }, () => {
    it('delivers within the credit, in order, and everything in the end', async () => {
      const { transport, put } = await make(streamsOfOrders());
      const ids = Array.from({ length: 200 }, (_, index) => `m${index}`);
      for (const id of ids) await put({ subject: inboxSubject, id });
      const seen: number[] = [];
      let held = 0;
      let most = 0;
      const consumption = transport.consume(inbox, {
        credit: () => 10 - held,
        deliver: (delivery) => {
          held += 1;
          most = Math.max(most, held);
          seen.push(delivery.sequence);
          void delivery.ack().then(() => {
            held -= 1;
            consumption.more();
          });
        },
      });
      await eventually(() => seen.length).toBe(200);
      expect(seen).toEqual(ids.map((_, index) => index + 1));
      expect(most).toBeLessThanOrEqual(10);
      await eventually(() => transport.fill(inbox)).toMatchObject({ pending: 0, ackPending: 0 });
    });

    it('pauses without credit and goes on when told', async () => {
      const { transport, put } = await make(streamsOfOrders());
      await put({ subject: inboxSubject, id: 'a' });
      const reader = read(transport, 0);
      await eventually(() => transport.healthy()).toBe(true);
      expect(reader.deliveries).toEqual([]);
      reader.allow(1);
      await eventually(() => reader.deliveries.length).toBe(1);
    });

    it('forgets what is acknowledged, once the broker has said so', async () => {
      const { transport, stored } = await make(streamsOfOrders({ waitMs: 120_000 }));
      await transport.publish(entry('a'));
      const { deliveries } = read(transport, 1);
      await eventually(() => deliveries.length).toBe(1);
      expect(await stored('inbox_orders')).toBe(1);
      await at(deliveries, 0).ack();
      await eventually(() => stored('inbox_orders')).toBe(0);
      await at(deliveries, 0).ack();
    });

    it('delivers again what is given back: at once, or later and after the others', async () => {
      const { transport } = await make(streamsOfOrders({ waitMs: 120_000 }));
      await transport.publish(entry('a'));
      const reader = read(transport, 1);
      await eventually(reader.ids).toEqual(['a']);
      at(reader.deliveries, 0).nak(0);
      reader.allow(1);
      await eventually(reader.ids).toEqual(['a', 'a']);
      const parkedAt = Date.now();
      at(reader.deliveries, 1).nak(3_000);
      await transport.publish(entry('b'));
      reader.allow(2);
      await eventually(reader.ids).toEqual(['a', 'a', 'b', 'a']);
      expect(Date.now() - parkedAt).toBeGreaterThanOrEqual(2_990);
      expect(reader.deliveries.map(({ deliveries }) => deliveries)).toEqual([1, 2, 1, 3]);
    });

    it('delivers again what nobody answered for, and not what is still worked on', async () => {
      const { transport } = await make(streamsOfOrders());
      await transport.publish(entry('kept'));
      await transport.publish(entry('left'));
      const reader = read(transport, 2);
      await eventually(reader.ids).toEqual(['kept', 'left']);
      const kept = at(reader.deliveries, 0);
      const signs = setInterval(() => kept.working(), ackWaitMs / 6);
      try {
        reader.allow(2);
        await eventually(reader.ids, 'twice the AckWait has passed').toEqual(['kept', 'left', 'left', 'left']);
      } finally {
        clearInterval(signs);
      }
      expect(at(reader.deliveries, -1).deliveries).toBe(3);
      await Promise.all([kept.ack(), at(reader.deliveries, -1).ack()]);
      await eventually(() => transport.fill(inbox)).toMatchObject({ ackPending: 0 });
    });

    it('delivers nothing new while as much is parked as may be', async () => {
      const { transport } = await make(streamsOfOrders({ most: 2, waitMs: 120_000 }));
      for (const id of ['a', 'b', 'c']) await transport.publish(entry(id));
      const reader = read(transport, 10);
      await eventually(reader.ids).toEqual(['a', 'b']);
      for (const delivery of reader.deliveries) delivery.nak(60_000);
      await eventually(() => transport.fill(inbox)).toEqual({
        deliveredTo: 2,
        pending: 1,
        ackPending: 2,
        maxAckPending: 2,
      });
      expect(reader.ids()).toEqual(['a', 'b']);
      await at(reader.deliveries, 0).ack();
      await eventually(reader.ids).toEqual(['a', 'b', 'c']);
    });

    it('gives what a stopped reader left to the next one', async () => {
      const { transport } = await make(streamsOfOrders({ waitMs: 120_000 }));
      for (const id of ['a', 'b']) await transport.publish(entry(id));
      const first = read(transport, 1);
      await eventually(first.ids).toEqual(['a']);
      await first.stop();
      first.allow(5);
      at(first.deliveries, 0).nak(0);
      const second = read(transport, 5);
      await eventually(() => new Set(second.ids())).toEqual(new Set(['a', 'b']));
      expect(first.ids()).toEqual(['a']);
    });

    it('keeps dead letters apart from the inbox, and each once', async () => {
      const { transport, stored } = await make(streamsOfOrders());
      const letter = entry('inbox_orders/1/out/a', 'x', 'dlq.orders.out');
      expect((await transport.publish(letter)).duplicate).toBe(false);
      expect((await transport.publish(letter)).duplicate).toBe(true);
      expect([await stored('dlq_orders'), await stored('inbox_orders')]).toEqual([1, 0]);
    });

    it('has only the last of the ticks that nobody read', async () => {
      const { transport, put } = await make(streamsOfOrders());
      for (const id of ['t1', 't2', 't3']) await put({ subject: 'tick.orders.nightly', id, body: id });
      const { deliveries } = read(transport, 5, { stream: 'tick', name: 'orders' });
      await eventually(() => deliveries.length).toBe(1);
      expect(Buffer.from(at(deliveries, 0).body).toString()).toBe('t3');
      await at(deliveries, 0).ack();
      await put({ subject: 'tick.orders.nightly', id: 't4', body: 't4' });
      await eventually(() => deliveries.length).toBe(2);
      await eventually(() => transport.fill({ stream: 'tick', name: 'orders' })).toMatchObject({ pending: 0 });
    });
  });

  describe(`${name}: state`, { timeout: 120_000 }, () => {
    it('is written by compare and set', async () => {
      const { state } = (await make(streamsOfOrders())).transport;
      const key = 'orders.m.inbox_orders.1';
      const text = async () => Buffer.from((await state.read(key))?.value ?? []).toString();
      expect(await state.read(key)).toBeUndefined();
      const first = await state.write(key, Buffer.from('1'), 0);
      await expect(state.write(key, Buffer.from('2'), 0)).rejects.toMatchObject({ code: 'Conflict' });
      const second = await state.write(key, Buffer.from('3'), first);
      await expect(state.write(key, Buffer.from('4'), first)).rejects.toMatchObject({ code: 'Conflict' });
      expect(await text()).toBe('3');
      expect(await state.read(key)).toMatchObject({ revision: second });
      await state.remove(key);
      expect(await state.read(key)).toBeUndefined();
      expect(await state.write(key, Buffer.from('5'), 0), 'a removed key can be made again').toBeGreaterThan(second);
    });

    it('is apart from large bodies, whose parts are written once', async () => {
      const { state, bodies } = (await make([...streamsOfOrders(), bodySpec('orders')])).transport;
      const store = bodies('orders');
      const part = Buffer.alloc(300_000, 'p');
      await store.write('orders.0', part, 0);
      await expect(store.write('orders.0', part, 0)).rejects.toMatchObject({ code: 'Conflict' });
      expect(Buffer.compare((await store.read('orders.0'))?.value ?? new Uint8Array(), part)).toBe(0);
      expect(await state.read('orders.0')).toBeUndefined();
      await store.remove('orders.0');
      expect(await store.read('orders.0')).toBeUndefined();
    });

    it('forgets what was written for a time, and what replaced it when its own time is over', async () => {
      const { state } = (await make(streamsOfOrders())).transport;
      const brief = await state.write('orders.s.brief', Buffer.from('1'), 0, 1_000);
      const kept = await state.write('orders.s.kept', Buffer.from('1'), 0, 1_000);
      await state.write('orders.s.kept', Buffer.from('2'), kept, 3_600_000);
      await expect(state.write('orders.s.brief', Buffer.from('2'), 0, 1_000)).rejects.toMatchObject({
        code: 'Conflict',
      });
      await eventually(() => state.read('orders.s.brief')).toBeUndefined();
      expect(await state.write('orders.s.brief', Buffer.from('3'), 0), 'as if it had never been').toBeGreaterThan(
        brief,
      );
      expect(Buffer.from((await state.read('orders.s.kept'))?.value ?? []).toString()).toBe('2');
    });
  });
};
