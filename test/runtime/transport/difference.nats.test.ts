import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Clock, createMemoryTransport } from '../../../runtime/transport/memory.ts';
import { type Delivery, type Transport, TransportError } from '../../../runtime/transport/transport.ts';
import { inbox, streamsOfOrders } from '../../conformance/transport.ts';
import { jetStreamMaker } from './orders-world.ts';

/*
 * The same random operations on both transports: after each of them both have delivered the same and hold the same. Time stands still for
 * both: the memory's clock does, and the server's waits are longer than the test; what time changes is in the conformance suite.
 */
const seed = 20261122;
const runs = 12;
const hourMs = 3_600_000;
const streams = streamsOfOrders({ waitMs: hourMs, most: 12, maxBytes: 64_000 });
const stopped: Clock = { now: () => 0, after: () => () => undefined };

type Operation =
  | { readonly kind: 'publish'; readonly id: number; readonly to: string; readonly bytes: number }
  | { readonly kind: 'allow'; readonly more: number }
  | { readonly kind: 'ack' | 'nak' | 'park' | 'working'; readonly which: number }
  | { readonly kind: 'write'; readonly key: number; readonly stale: boolean }
  | { readonly kind: 'remove'; readonly key: number };

const operations = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('publish' as const),
        id: fc.nat(30),
        to: fc.constantFrom('inbox.orders.0.in', 'inbox.orders.0.other', 'dlq.orders.out'),
        bytes: fc.constantFrom(1, 100, 9_000),
      }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('allow' as const), more: fc.integer({ min: 1, max: 4 }) }) },
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constantFrom('ack', 'nak', 'park', 'working'), which: fc.nat(50) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('write' as const), key: fc.nat(2), stale: fc.boolean() }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), key: fc.nat(2) }) },
  ) as fc.Arbitrary<Operation>,
  { minLength: 15, maxLength: 40 },
);

const drive = (transport: Transport) => {
  const deliveries: Delivery[] = [];
  const revisions = new Map<string, number>();
  let free = 0;
  const consumption = transport.consume(inbox, {
    credit: () => free,
    deliver: (delivery) => {
      free -= 1;
      deliveries.push(delivery);
    },
  });
  const codeOf = (error: unknown) => (error instanceof TransportError ? error.code : String(error));
  /** One delivery of each message is chosen by number, so that the order in which they came does not matter. */
  const chosen = (which: number): Delivery | undefined => {
    const bySequence = new Map(deliveries.map((delivery) => [delivery.sequence, delivery]));
    const sorted = [...bySequence.values()].toSorted((left, right) => left.sequence - right.sequence);
    return sorted[which % Math.max(1, sorted.length)];
  };
  const run = async (operation: Operation): Promise<unknown> => {
    switch (operation.kind) {
      case 'publish': {
        const { id, to, bytes } = operation;
        return transport.publish({ subject: to, id: `m${id}`, headers: {}, body: Buffer.alloc(bytes) });
      }
      case 'allow':
        free += operation.more;
        return consumption.more();
      case 'ack':
        return chosen(operation.which)?.ack();
      case 'nak':
        return chosen(operation.which)?.nak(0);
      case 'park':
        return chosen(operation.which)?.nak(hourMs);
      case 'working':
        return chosen(operation.which)?.working();
      case 'write': {
        const key = `orders.k${operation.key}`;
        const expected = operation.stale ? 1_000_000 : (revisions.get(key) ?? 0);
        revisions.set(key, await transport.state.write(key, Buffer.from('x'), expected));
        return 'written';
      }
      case 'remove':
        revisions.delete(`orders.k${operation.key}`);
        return transport.state.remove(`orders.k${operation.key}`);
    }
  };
  return {
    run: (operation: Operation) => run(operation).catch(codeOf),
    async seen() {
      const keys = await Promise.all([0, 1, 2].map((key) => transport.state.read(`orders.k${key}`)));
      return {
        deliveries: deliveries.map(({ sequence, deliveries: count }) => `${sequence}#${count}`).toSorted(),
        fill: await transport.fill(inbox),
        keys: keys.map((found) => found !== undefined),
      };
    },
  };
};

const make = jetStreamMaker();

it(`memory and JetStream do the same (seed ${seed})`, { timeout: 400_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(operations, async (sequence) => {
      const real = await make(streams);
      const memory = createMemoryTransport({ streams, clock: stopped });
      const [left, right] = [drive(memory), drive(real.transport)];
      try {
        for (const operation of sequence) {
          const [expected, actual] = [await left.run(operation), await right.run(operation)];
          expect(actual, JSON.stringify(operation)).toEqual(expected);
          await expect.poll(right.seen, { timeout: 60_000, interval: 10 }).toEqual(await settled(left.seen));
        }
      } finally {
        await Promise.all([memory.close(), real.transport.close()]);
      }
    }),
    { seed, numRuns: runs, endOnFailure: true },
  );
});

/** What is in memory is delivered in the next turn of the event loop. */
const settled = async <T>(look: () => Promise<T>): Promise<T> => {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  return look();
};
