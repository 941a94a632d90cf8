import type { Counters } from '../telemetry.ts';
import type { Backlog } from './backlog.ts';
import type { Outcome } from './handler.ts';
import type { Job } from './job.ts';
import type { Pause } from './pause.ts';

/*
 * When which job runs: at most `concurrency` at once, suspects alone, none while paused but one to try. A job that waits for its next
 * attempt takes no place among those that run, and comes first when its time is over.
 */
export interface Scheduler {
  add(jobs: readonly Job[]): void;
  pump(): void;
  /** Starts nothing any more; what wants another attempt is given back. */
  stop(): void;
  /** Gives back those that do not run and for which it holds, and `others`. */
  giveBack(which: (job: Job) => boolean, others: readonly Job[]): Promise<void>;
  /** Resolves when nothing runs. */
  idle(): Promise<void>;
  running(): number;
  waiting(): number;
  isAlone(): boolean;
  isStopping(): boolean;
}

export interface SchedulerOptions {
  readonly backlog: Backlog;
  readonly concurrency: number;
  readonly handler: {
    handle(job: Job, alone: boolean): Promise<Outcome>;
    release(job: Job): Promise<Outcome>;
  };
  readonly pause: Pause;
  /** The job is acked or given back. */
  readonly left: (job: Job) => void;
  readonly counters: Counters;
  readonly after: After;
}
/** Runs it once, later; returns what prevents that. */
export type After = (ms: number, run: () => void) => () => void;

export const createScheduler = ({
  backlog,
  concurrency,
  handler,
  pause,
  left,
  counters,
  after,
}: SchedulerOptions): Scheduler => {
  let suspects: Job[] = [];
  /** Their wait is over. */
  let again: Job[] = [];
  const waiting = new Map<Job, () => void>();
  let running = 0;
  let alone = false;
  let stopping = false;
  let idle: (() => void) | undefined;

  const leave = (job: Job) => {
    left(job);
    backlog.done(job);
  };
  const goesOn = ({ partition, term }: Job) => !stopping && (!partition || partition.term() === term);
  const run = async (job: Job, asSuspect: boolean) => {
    running += 1;
    alone = asSuspect;
    pause.started();
    job.partition?.started();
    const outcome = await handler.handle(job, asSuspect);
    const stays = outcome.kind === 'again' || outcome.kind === 'suspect';
    if (stays && !goesOn(job)) await handler.release(job);
    running -= 1;
    alone = false;
    job.partition?.ended();
    if (outcome.kind === 'suspect') {
      counters.suspects += 1;
      pause.saidNothing();
    } else pause.ended(outcome.fatal);

    if (!stays || !goesOn(job)) leave(job);
    else if (outcome.kind === 'suspect') suspects.push(job);
    else wait(job, outcome.delayMs ?? 0);
    if (running === 0) idle?.();
    pump();
  };
  const wait = (job: Job, delayMs: number) => {
    const over = () => {
      waiting.delete(job);
      again.push(job);
      pump();
    };
    waiting.set(job, after(delayMs, over));
  };
  const pump = () => {
    if (stopping || alone) return;
    // Suspects wait until nothing else runs, and nothing else starts meanwhile.
    const suspect = suspects[0];
    if (suspect) {
      if (running > 0 || !pause.mayStart()) return;
      suspects = suspects.slice(1);
      void run(suspect, true);
      return;
    }
    for (let free = concurrency - running; free > 0 && pause.mayStart(); free -= 1) {
      const job = again.shift() ?? backlog.next();
      if (!job) return;
      void run(job, false);
    }
  };

  return {
    pump,
    add(jobs) {
      for (const job of jobs) backlog.add(job);
      pump();
    },
    stop: () => void (stopping = true),
    async giveBack(which, others) {
      const late = [...waiting.keys()].filter(which);
      for (const job of late) {
        waiting.get(job)?.();
        waiting.delete(job);
      }
      const jobs = [...suspects, ...again].filter(which);
      suspects = suspects.filter((job) => !which(job));
      again = again.filter((job) => !which(job));
      const release = async (job: Job) => {
        await handler.release(job);
        leave(job);
      };
      await Promise.all([...jobs, ...late, ...backlog.take(which), ...others].map(release));
      pump();
    },
    async idle() {
      if (running === 0) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      idle = resolve;
      await promise;
    },
    running: () => running,
    waiting: () => waiting.size,
    isAlone: () => alone,
    isStopping: () => stopping,
  };
};
