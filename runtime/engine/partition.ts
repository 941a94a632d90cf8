import type { ConsumerFill } from '../transport/transport.ts';
import type { Job } from './job.ts';

/*
 * One partition of an inbox whose order is kept: read by one worker at a time. When a worker takes over from one that died, the broker
 * delivers new messages before those that the dead one held. So nothing starts before everything unacknowledged is here: as many
 * messages as the broker counts up to the last one that it delivered. The window is full then, or what comes next is newer.
 */
export interface Partition {
  /** For lanes: the same key in two partitions is two lanes. */
  readonly name: string;
  /** Rises whenever others may have read the partition meanwhile. */
  readonly term: () => number;
  /** False for a second delivery of what is here already. */
  arrived(job: Job): boolean;
  started(): void;
  ended(): void;
  /** Acked or given back. */
  left(job: Job): void;
  /** Starts a new term; returns what had arrived and not been passed on. */
  changed(): Job[];
  size(): number;
  /** Resolves when nothing of it is here. */
  empty(): Promise<void>;
  /** Looks again whether everything is here. */
  check(): Promise<void>;
}

export const createPartition = (
  name: string,
  fill: () => Promise<ConsumerFill>,
  pass: (jobs: readonly Job[]) => void,
): Partition => {
  const held = new Map<number, Job>();
  let arrivals: Job[] | undefined = [];
  let term = 1;
  let running = 0;
  let checking = false;
  let emptied = Promise.withResolvers<void>();

  const check = async () => {
    // An ack on its way would be counted by the one and not by the other.
    if (!arrivals || arrivals.length === 0 || running > 0 || checking) return;
    checking = true;
    const asked = term;
    // What cannot be asked now is asked again.
    const found = await fill().catch(() => undefined);
    checking = false;
    if (!found || asked !== term || !arrivals) return;
    const here = [...held.keys()].filter((sequence) => sequence <= found.deliveredTo).length;
    if (here < found.ackPending) return;
    const inOrder = arrivals.toSorted((a, b) => a.delivery.sequence - b.delivery.sequence);
    arrivals = undefined;
    pass(inOrder);
  };

  return {
    name,
    term: () => term,
    arrived(job) {
      const { sequence } = job.delivery;
      if (held.has(sequence)) return false;
      held.set(sequence, job);
      if (!arrivals) pass([job]);
      else {
        arrivals.push(job);
        void check();
      }
      return true;
    },
    started: () => void (running += 1),
    ended: () => void (running -= 1),
    left({ delivery }) {
      held.delete(delivery.sequence);
      if (held.size > 0) return;
      emptied.resolve();
      emptied = Promise.withResolvers();
    },
    changed() {
      const before = arrivals ?? [];
      arrivals = [];
      term += 1;
      return before;
    },
    size: () => held.size,
    empty: () => (held.size === 0 ? Promise.resolve() : emptied.promise),
    check,
  };
};
