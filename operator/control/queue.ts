import type { ControlMetrics } from './metrics.ts';

/*
 * The work queue of client-go for keys, fair between groups (tenants). A key waits at most once, is worked on by one worker at a time,
 * and a key that is added while it is in work comes back when that work is done. Groups take turns of some keys, so that one tenant's storm
 * delays the others by a turn and not by its backlog, and none has more than its share of the workers. A group that comes anew goes before
 * those that have had a turn, as flows do in fq_codel: a lone change does not wait for everybody's backlog. Something has happened to a key that is
 * added; one that is only to be looked at again waits while there are such, as what has low priority does in controller-runtime. But some
 * of the turns are for looks whatever there is: so they cost a storm little, however long it lasts, and are not forgotten in it.
 */
export interface KeyedQueue {
  add(key: string): void;
  /** The key is looked at again in `ms`, or when there is nothing else to do; of several such calls the earliest wins. */
  after(key: string, ms: number): void;
  /** Adds the key again after a failure, later each time. Returns the delay in ms. */
  retry(key: string): number;
  /** The key succeeded: its next failure is its first. */
  forget(key: string): void;
  /** The next key, `undefined` once the queue is closed. Every key needs its `done`. */
  next(): Promise<string | undefined>;
  done(key: string): void;
  depth(): number;
  /** How many of them have news; the others are only to be looked at again. */
  news(): number;
  /** Age of the oldest key in work. */
  longestRunningSeconds(): number;
  /** Nothing is given out any more; resolves when no key is in work. */
  close(): Promise<void>;
}
export interface QueueOptions {
  readonly name: string;
  readonly metrics: ControlMetrics;
  /** The group whose share the key uses; default: one group. */
  readonly groupOf?: (key: string) => string;
  /** Keys of one group in work at once. */
  readonly groupWorkers?: number;
  /** A key is looked at again only while fewer than so many keys are in work, if it is not the turn of looks. */
  readonly lookWorkers?: number;
  /** Least time between two keys that are looked at again, if it is not the turn of looks; default none. */
  readonly lookPaceMs?: number;
  /** client-go: 5 ms, doubled up to 1000 s. */
  readonly backoffMs?: { readonly first: number; readonly max: number };
  /** A key is not worked on again before it has rested for so long: what changes meanwhile is dealt with together. */
  readonly restMs?: number;
  /** Retries of one group: so many a second after a burst (client-go has it for the whole queue, which is unfair). */
  readonly retryRate?: { readonly perSecond: number; readonly burst: number };
}

interface Group {
  /** Keys that wait, with when they came. */
  readonly keys: Map<string, number>;
  /** How many of them are taken before others have their turn. */
  left: number;
}
interface Bucket {
  tokens: number;
  at: number;
}
/** Whether something has happened, or it is only time to look. */
type Why = 'news' | 'look';
const longestTimer = 2 ** 31 - 1;
/** What a tenant's keys share (its connection to NATS, its Secrets) is at hand for them then. */
const keysPerTurn = 16;
/** Of so many keys that are taken, one is looked at again, if any waits to be. */
const turnsOfLooks = 20;

export const createQueue = (options: QueueOptions): KeyedQueue => {
  const { name, metrics, groupOf = () => '', restMs = 0 } = options;
  const { groupWorkers = Number.POSITIVE_INFINITY, lookWorkers = Number.POSITIVE_INFINITY, lookPaceMs = 0 } = options;
  const backoff = options.backoffMs ?? { first: 5, max: 1_000_000 };
  const rate = options.retryRate ?? { perSecond: 10, burst: 100 };
  /** Groups that came anew, and those that have had a turn: it is the first one's. */
  const fresh = new Map<string, Group>();
  const waiting = new Map<string, Group>();
  /** Keys that wait to be looked at again, the one first that came first, with when. */
  const looks = new Map<string, number>();
  /** Keys with news that were taken while looks waited, since the last look. */
  let ahead = 0;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let untilNextLook: NodeJS.Timeout | undefined;
  const running = new Map<string, number>();
  const runningOf = new Map<string, number>();
  /** Added while in work. */
  const again = new Set<string>();
  const delayed = new Map<string, { readonly due: number; why: Why; readonly timer: NodeJS.Timeout }>();
  const failures = new Map<string, number>();
  /** Until when keys rest. */
  const resting = new Map<string, number>();
  const buckets = new Map<string, Bucket>();
  const takers: ((key: string | undefined) => void)[] = [];
  const [adds, queueSeconds, workSeconds] = [
    metrics.adds.labels({ name }),
    metrics.queueSeconds.labels({ name }),
    metrics.workSeconds.labels({ name }),
  ];
  const drained = Promise.withResolvers<void>();
  let closed = false;

  const groupWith = (key: string) => fresh.get(groupOf(key)) ?? waiting.get(groupOf(key));
  const isWaiting = (key: string) => groupWith(key)?.keys.has(key) ?? false;
  const enqueue = (key: string) => {
    looks.delete(key);
    const found = groupWith(key);
    const group = found ?? { keys: new Map<string, number>(), left: keysPerTurn };
    group.keys.set(key, performance.now());
    if (!found) fresh.set(groupOf(key), group);
  };
  const isFull = (group: string) => (runningOf.get(group) ?? 0) >= groupWorkers;
  const begin = (key: string, since: number): string => {
    const [group, now] = [groupOf(key), performance.now()];
    runningOf.set(group, (runningOf.get(group) ?? 0) + 1);
    running.set(key, now);
    queueSeconds.observe((now - since) / 1000);
    return key;
  };
  const takeOf = (line: Map<string, Group>): string | undefined => {
    for (const [name, group] of line) {
      const first = group.keys.entries().next();
      // Nothing of it has come for a round: it may come anew.
      if (first.done) line.delete(name);
      if (first.done || isFull(name)) continue;
      const [key, since] = first.value;
      ahead = looks.size > 0 ? ahead + 1 : 0;
      group.keys.delete(key);
      group.left -= 1;
      if (group.left === 0 || group.keys.size === 0) {
        line.delete(name);
        waiting.set(name, group);
        group.left = keysPerTurn;
      }
      return begin(key, since);
    }
    return undefined;
  };
  const takeNews = () => takeOf(fresh) ?? takeOf(waiting);
  const takeLook = (): string | undefined => {
    for (const [key, since] of looks) {
      if (isFull(groupOf(key))) continue;
      looks.delete(key);
      ahead = 0;
      lookedAt = performance.now();
      return begin(key, since);
    }
    return undefined;
  };
  const takeFreeLook = (): string | undefined => {
    if (looks.size === 0 || running.size >= lookWorkers) return undefined;
    const waitMs = lookedAt + lookPaceMs - performance.now();
    if (waitMs <= 0) return takeLook();
    untilNextLook ??= setTimeout(() => {
      untilNextLook = undefined;
      dispatch();
    }, waitMs);
    return undefined;
  };
  const take = () => (ahead >= turnsOfLooks - 1 ? takeLook() : undefined) ?? takeNews() ?? takeFreeLook();
  const dispatch = () => {
    while (takers.length > 0) {
      const key = take();
      if (key === undefined) return;
      takers.shift()?.(key);
    }
  };
  /** Reserves one retry of the group; the answer is how long to wait for it. */
  const reserve = (group: string): number => {
    const now = performance.now();
    const bucket = buckets.get(group) ?? { tokens: rate.burst, at: now };
    bucket.tokens = Math.min(rate.burst, bucket.tokens + ((now - bucket.at) / 1000) * rate.perSecond) - 1;
    bucket.at = now;
    buckets.set(group, bucket);
    return bucket.tokens >= 0 ? 0 : (-bucket.tokens / rate.perSecond) * 1000;
  };

  const put = (key: string, why: Why): void => {
    if (closed || isWaiting(key) || again.has(key)) return;
    const restLeft = (resting.get(key) ?? 0) - performance.now();
    if (restLeft > 0) return later(key, restLeft, why);
    resting.delete(key);
    adds.inc();
    if (running.has(key)) again.add(key);
    else if (why === 'news') enqueue(key);
    else if (!looks.has(key)) looks.set(key, performance.now());
    dispatch();
  };
  const later = (key: string, ms: number, why: Why): void => {
    if (closed) return;
    if (ms <= 0) return put(key, why);
    const due = performance.now() + ms;
    const known = delayed.get(key);
    // Looking at it is part of dealing with news of it.
    if (known && why === 'news') known.why = why;
    if (known && known.due <= due) return;
    clearTimeout(known?.timer);
    const fire = () => {
      delayed.delete(key);
      put(key, entry.why);
    };
    const entry = { due, why: known?.why ?? why, timer: setTimeout(fire, Math.min(ms, longestTimer)) };
    delayed.set(key, entry);
  };
  const add = (key: string): void => put(key, 'news');
  const runningSeconds = () => [...running.values()].map((since) => (performance.now() - since) / 1000);
  const sizeOf = (line: Map<string, Group>) => line.values().reduce((sum, { keys }) => sum + keys.size, 0);
  const news = () => sizeOf(fresh) + sizeOf(waiting);
  const depth = () => news() + looks.size;

  const gauge = { name, depth, runningSeconds };
  metrics.queues.add(gauge);
  return {
    add,
    after: (key, ms) => later(key, ms, 'look'),
    retry: (key) => {
      const failed = failures.get(key) ?? 0;
      failures.set(key, failed + 1);
      metrics.retries.inc({ name });
      const ms = Math.max(Math.min(backoff.first * 2 ** failed, backoff.max), reserve(groupOf(key)));
      later(key, ms, 'news');
      return ms;
    },
    forget: (key) => void failures.delete(key),
    next: () =>
      new Promise((resolve) => {
        if (closed) return resolve(undefined);
        takers.push(resolve);
        dispatch();
      }),
    done: (key) => {
      const since = running.get(key);
      if (since === undefined) throw new Error(`queue ${name}: ${key} is done, but nobody took it`);
      running.delete(key);
      const group = groupOf(key);
      const left = (runningOf.get(group) ?? 1) - 1;
      if (left > 0) runningOf.set(group, left);
      else runningOf.delete(group);
      workSeconds.observe((performance.now() - since) / 1000);
      if (restMs > 0) resting.set(key, performance.now() + restMs);
      if (again.delete(key) && !closed) {
        if (restMs > 0) later(key, restMs, 'news');
        else enqueue(key);
      }
      if (closed && running.size === 0) drained.resolve();
      dispatch();
    },
    depth,
    news,
    longestRunningSeconds: () => Math.max(0, ...runningSeconds()),
    close: () => {
      closed = true;
      for (const { timer } of delayed.values()) clearTimeout(timer);
      delayed.clear();
      clearTimeout(untilNextLook);
      fresh.clear();
      waiting.clear();
      looks.clear();
      again.clear();
      metrics.queues.delete(gauge);
      for (const taker of takers.splice(0)) taker(undefined);
      if (running.size === 0) drained.resolve();
      return drained.promise;
    },
  };
};
