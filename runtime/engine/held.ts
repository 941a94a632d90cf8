import { createBag } from './bag.ts';
import type { Job } from './job.ts';

/*
 * Deliveries that this worker answers for, prefetched ones too. Each tells the broker every ten seconds that it is still in good hands
 * (AckWait is 30 s for all).
 */
export interface HeldJobs {
  add(job: HeldJob): void;
  remove(job: HeldJob): void;
  size(): number;
  tick(now: number): void;
}
export type HeldJob = Pick<Job, 'delivery' | 'lastSign' | 'place'>;

const everyMs = 10_000;

export const createHeld = (): HeldJobs => {
  const jobs = createBag<HeldJob>();
  return {
    add: jobs.add,
    remove: jobs.remove,
    size: () => jobs.items.length,
    tick(now) {
      for (const job of jobs.items) {
        if (now - job.lastSign < everyMs) continue;
        job.delivery.working();
        job.lastSign = now;
      }
    },
  };
};
