import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '../connector.ts';
import type { Consumption, Transport } from '../transport/transport.ts';
import type { Consumer } from './consumers.ts';
import type { Job } from './job.ts';
import type { Partition } from './partition.ts';
import type { Peers } from './peers.ts';

/*
 * Which of the partitions this worker reads. It pulls from all of them while it has fewer than its share, and takes what the broker gives;
 * with its share it pulls from no other; above it, it gives some up: no pull any more, what is here is done, and only then the next one's
 * turn. A message that does not get done in time, such as one of a key that fails, is given back.
 */
export interface Ownership {
  add(place: Pick<Place, 'consumer' | 'partition'>): void;
  /** Now and then: takes and gives up. */
  balance(): void;
  /** There is more room. */
  more(): void;
  owned(): number;
  /** Pulls no more and takes nothing more. */
  stop(): Promise<void>;
  /** After `stop` and the last ack. */
  handOver(): Promise<void>;
}
export interface OwnershipOptions {
  readonly transport: Transport;
  readonly window: number;
  readonly deliver: (partition: Partition) => Parameters<Transport['consume']>[1]['deliver'];
  readonly giveBack: (which: (job: Job) => boolean, others: readonly Job[]) => Promise<void>;
  /** Without it there is nobody else. */
  readonly peers: Peers | undefined;
  readonly log: Log;
}

interface Place {
  readonly consumer: Pick<Consumer, 'stream' | 'name'>;
  readonly partition: Partition;
  consumption: Consumption | undefined;
  isOwned: boolean;
  /** Set while it is given up. */
  leaving: Promise<void> | undefined;
}

/** Below the time after which the broker takes an owner for dead that does not pull. */
const patienceMs = 10_000;

export const createOwnership = ({ transport, window, deliver, giveBack, peers, log }: OwnershipOptions): Ownership => {
  const places: Place[] = [];
  let stopped = false;

  const newTerm = async ({ partition }: Place) => {
    const arrived = partition.changed();
    await giveBack((job) => job.partition === partition && job.term !== partition.term(), arrived);
  };
  const open = (place: Place) => {
    const { consumer, partition } = place;
    // The broker bounds what is unacknowledged in a partition, and a pull must stay open: it is the sign that the owner lives.
    place.consumption = transport.consume(consumer, {
      credit: () => Math.max(1, window - partition.size()),
      deliver: deliver(partition),
      exclusive: {
        changed(isOwned) {
          place.isOwned = isOwned;
          void newTerm(place);
        },
      },
    });
  };
  const leave = async (place: Place, consumption: Consumption) => {
    await consumption.stop();
    const enough = new AbortController();
    const patience = pause(patienceMs, undefined, { signal: enough.signal }).catch(() => undefined);
    await Promise.race([place.partition.empty(), patience]);
    enough.abort();
    await newTerm(place);
    await place.partition.empty();
    await consumption.handOver();
    place.consumption = undefined;
    place.isOwned = false;
    place.leaving = undefined;
  };

  return {
    add({ consumer, partition }) {
      const place = { consumer, partition, consumption: undefined, isOwned: false, leaving: undefined };
      places.push(place);
      open(place);
    },
    balance() {
      if (stopped || places.length < 2 || !peers) return;
      peers.tick();
      const share = peers.share(places.length);
      const staying = places.filter(({ leaving }) => !leaving);
      const owned = staying
        .filter(({ isOwned }) => isOwned)
        .toSorted((a, b) => a.partition.size() - b.partition.size());
      const surplus = new Set(owned.slice(0, Math.max(0, owned.length - share)));
      const hasEnough = owned.length >= share;
      for (const place of staying) {
        const { consumption, isOwned } = place;
        if (!consumption) {
          if (!hasEnough) open(place);
          continue;
        }
        if (isOwned ? !surplus.has(place) : !hasEnough) continue;
        const { stream, name } = place.consumer;
        if (isOwned) log.info({ stream, consumer: name, share, of: places.length }, 'a partition is given up');
        place.leaving = leave(place, consumption);
      }
    },
    more() {
      for (const { consumption } of places) consumption?.more();
    },
    owned: () => places.filter(({ isOwned }) => isOwned).length,
    async stop() {
      stopped = true;
      if (places.length > 1) peers?.leave();
      await Promise.all(places.map(async ({ consumption }) => consumption?.stop()));
      await Promise.all(places.map(newTerm));
    },
    async handOver() {
      await Promise.all(places.map(async ({ consumption, leaving }) => leaving ?? consumption?.handOver()));
    },
  };
};
