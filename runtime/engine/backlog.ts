import type { Job } from './job.ts';

/** Jobs that wait for their turn. What `next` hands out is at work until `done`, however often it is tried. */
export interface Backlog {
  add(job: Job): void;
  next(): Job | undefined;
  done(job: Job): void;
  /** Takes out those that were not handed out and for which it holds. */
  take(which: (job: Job) => boolean): Job[];
}

/** Any order will do. */
export const createQueue = (): Backlog => {
  let jobs: Job[] = [];
  return {
    add: (job) => void jobs.push(job),
    next: () => jobs.shift(),
    done: () => undefined,
    take(which) {
      const taken = jobs.filter(which);
      jobs = jobs.filter((job) => !which(job));
      return taken;
    },
  };
};

interface Lane {
  /** By stream sequence. */
  readonly jobs: Job[];
  current: Job | undefined;
}

/** One job of a key at a time, by stream sequence; a key whose job is at work holds up nobody else. */
export const createLanes = (keyOf: (job: Job) => string): Backlog => {
  const lanes = new Map<string, Lane>();
  /** Lanes whose first job may start, in the order in which that became so. */
  const ready = new Set<string>();
  const settle = (key: string, lane: Lane) => {
    if (lane.current || lane.jobs.length === 0) ready.delete(key);
    else ready.add(key);
    if (!lane.current && lane.jobs.length === 0) lanes.delete(key);
  };
  return {
    add(job) {
      const key = keyOf(job);
      const lane = lanes.get(key) ?? { jobs: [], current: undefined };
      lanes.set(key, lane);
      const after = lane.jobs.findLastIndex((each) => each.delivery.sequence < job.delivery.sequence);
      lane.jobs.splice(after + 1, 0, job);
      settle(key, lane);
    },
    next() {
      for (const key of ready) {
        const lane = lanes.get(key) as Lane;
        lane.current = lane.jobs.shift();
        settle(key, lane);
        return lane.current;
      }
      return undefined;
    },
    done(job) {
      const key = keyOf(job);
      const lane = lanes.get(key);
      if (lane?.current !== job) return;
      lane.current = undefined;
      settle(key, lane);
    },
    take(which) {
      const taken: Job[] = [];
      for (const [key, lane] of lanes) {
        const kept = lane.jobs.filter((job) => !which(job));
        taken.push(...lane.jobs.filter(which));
        lane.jobs.splice(0, lane.jobs.length, ...kept);
        settle(key, lane);
      }
      return taken;
    },
  };
};
