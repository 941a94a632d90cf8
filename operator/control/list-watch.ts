import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { KubeObject } from '../reconcile/ports.ts';
import { lineSplitter } from './lines.ts';
import { readList } from './list-pages.ts';
import type { ControlMetrics } from './metrics.ts';
import { type OwnWrites, ownWrites } from './own-writes.ts';
import { type Change, createStore, hasLabels, isNewer, type Store, versionOf } from './store.ts';
import { cached, parseEvent, statusOf, versionOfChange, WatchError, withoutManagedFields } from './watch-event.ts';

/**
 * An answer without end, to be read once. Each piece is handed over as it comes, and the next one waits while `take` does. Resolves when the
 * server has ended the answer, rejects when the connection broke before, or `take` failed.
 */
export interface Pieces {
  read(take: (piece: Uint8Array) => Promise<unknown> | undefined): Promise<void>;
}
/** The two calls that a list-watch needs. Errors carry the HTTP status as `status`. */
export interface ObjectSource {
  list(query: Readonly<Record<string, string>>, signal: AbortSignal): Promise<unknown>;
  watch(query: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Pieces>;
}
export interface ListWatch extends Pick<Store, 'get' | 'list' | 'size'> {
  readonly name: string;
  /** Resolves when the first list is complete; rejects if it is closed before. */
  readonly synced: Promise<void>;
  hasSynced(): boolean;
  /** Age of the cache: time since the last list or byte of a watch. */
  staleSeconds(): number;
  /** Time since the server answered anything, be it a refusal (a role that is missing): what a restart might mend. */
  silentSeconds(): number;
  /** An own write is sent to an object: what the watch tells of it waits until its answer was taken up, which the result says. */
  readonly writing: OwnWrites['begin'];
  /** Takes the answer to an own write, so that the next read sees it; the watch may be behind. */
  observe(object: KubeObject): void;
  /** The object is of an own write, whose answer is something else. Resolves when the watch has told, or after a moment. */
  expect(resourceVersion: string): Promise<void>;
  /** Final: when it resolves nothing runs any more, and no change is reported from the call on. */
  close(): Promise<void>;
}
export interface ListWatchOptions {
  /** Plural and group: label of metrics, and in logs. */
  readonly name: string;
  readonly source: ObjectSource;
  /** Must only put keys into queues. One that throws is called again. */
  readonly onChange: (change: Change) => void;
  /** What the source is restricted to; `observe` ignores other objects. */
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** What of an object is kept; by default all but its managedFields, which are half of its size. */
  readonly trim?: (object: KubeObject) => KubeObject;
  readonly metrics: ControlMetrics;
  readonly log: Logger;
  readonly timings?: Partial<Timings>;
}
interface Timings {
  readonly pageSize: number;
  /** The server is asked to end a watch after a random time between these; a dead one is noticed at the latest then. */
  readonly watchSeconds: readonly [number, number];
  /** A watch without a byte is broken: the API server sends a bookmark every minute. */
  readonly silenceMs: number;
  readonly backoffMs: readonly [number, number];
  /** A watch that held for so long ends a series of failures. */
  readonly healthyMs: number;
  /** A full list although nothing seems wrong; what it finds is counted and must be nothing. */
  readonly relistMs: number;
  /** A list older than what was seen comes from a server that lags; if that lasts, the history was restored from a backup. */
  readonly restoredMs: number;
  readonly maxLineBytes: number;
  /** How long a watch waits for the answer to an own write to what it tells of. */
  readonly answerMs: number;
}
const defaults: Timings = {
  pageSize: 500,
  watchSeconds: [300, 600],
  silenceMs: 150_000,
  backoffMs: [800, 30_000],
  healthyMs: 120_000,
  relistMs: 1_800_000,
  restoredMs: 60_000,
  maxLineBytes: 8 * 1024 * 1024,
  answerMs: 1_000,
};
/** After so many failures in a row without an event, going on from the same place is no use. */
const failuresUntilRelist = 3;

/** Keeps a copy of a collection and reports its changes, for ever, whatever the connection or the server does, until it is closed. */
export const startListWatch = (options: ListWatchOptions): ListWatch => {
  const { name, source, onChange, metrics, log, trim = withoutManagedFields } = options;
  const timings = { ...defaults, ...options.timings };
  const resource = { resource: name };
  const store = createStore();
  const closing = new AbortController();
  const synced = Promise.withResolvers<void>();
  synced.promise.catch(() => {});
  let isSynced = false;
  let heard = performance.now();
  let answered = heard;
  /** Everything up to here has been seen; `undefined`: list. Unlike `highest` it is forgotten when the server does. */
  let position: string | undefined;
  let highest: string | undefined;
  let behindSince: number | undefined;
  let listDue = 0;
  let failures = 0;
  let stuck = 0;
  const own = ownWrites(timings.answerMs);
  const undelivered = new Map<string, Change>();
  let redelivery: NodeJS.Timeout | undefined;

  const deliver = (changes: readonly Change[]) => {
    for (const change of changes) {
      if (closing.signal.aborted) return;
      try {
        onChange(change);
      } catch (error) {
        metrics.handlerErrors.inc(resource);
        log.error({ err: error, resource: name, object: change.object.metadata.name }, 'a watch handler threw');
        const { namespace = '', name: objectName, uid } = change.object.metadata;
        undelivered.set([change.type, namespace, objectName, uid].join('/'), change);
        redelivery ??= setTimeout(redeliver, timings.backoffMs[0]);
      }
    }
  };
  const redeliver = () => {
    const changes = [...undelivered.values()];
    undelivered.clear();
    redelivery = undefined;
    deliver(changes);
  };
  const keep = (object: KubeObject) => cached(object, trim, store.get(object.metadata.name, object.metadata.namespace));
  const advance = (resourceVersion: string) => {
    position = resourceVersion;
    if (highest === undefined || isNewer(resourceVersion, highest)) highest = resourceVersion;
    stuck = 0;
  };

  const relist = async () => {
    const { objects, resourceVersion } = await readList((query) => source.list(query, closing.signal), {
      pageSize: timings.pageSize,
      keep,
      heard: () => void (heard = performance.now()),
    });
    metrics.relists.inc(resource);
    const behind = highest !== undefined && isNewer(highest, resourceVersion);
    if (behind) {
      behindSince ??= performance.now();
      const forMs = performance.now() - behindSince;
      if (forMs < timings.restoredMs)
        throw new WatchError(0, `the list is of ${resourceVersion}, but ${highest} has been seen: this server lags`);
      log.warn({ resource: name, resourceVersion, highest }, 'the history of the cluster was restored, starting anew');
      highest = undefined;
    }
    behindSince = undefined;
    // The watch begins anew behind them, or the history did.
    own.clear();
    const seen = position;
    const present = new Set<string>();
    for (const object of objects) {
      present.add(`${object.metadata.namespace ?? ''}/${object.metadata.name}`);
      const known = store.get(object.metadata.name, object.metadata.namespace);
      if (known && versionOf(known) === versionOf(object) && known.metadata.uid === object.metadata.uid) continue;
      const changes = behind ? store.force(object) : store.put(object);
      if (seen && changes.length > 0 && !isNewer(versionOf(object), seen)) metrics.cacheMisses.inc(resource);
      deliver(changes);
    }
    for (const object of store.list())
      if (!present.has(`${object.metadata.namespace ?? ''}/${object.metadata.name}`))
        deliver(store.remove(object, behind ? versionOf(object) : resourceVersion));
    advance(resourceVersion);
    listDue = performance.now() + timings.relistMs * (0.9 + 0.2 * Math.random());
    if (closing.signal.aborted) return;
    isSynced = true;
    synced.resolve();
  };

  /** Whether the line tells what is kept from the answer to an own write. */
  const isKept = (line: string): boolean => {
    const version = own.hasKept() ? versionOfChange(line) : undefined;
    if (version === undefined || !own.takeKept(version) || position === undefined || !isNewer(version, position))
      return false;
    advance(version);
    return true;
  };
  const take = (line: string) => {
    const event = parseEvent(line);
    const resourceVersion = event.type === 'BOOKMARK' ? event.resourceVersion : versionOf(event.object);
    // Within a watch versions only rise: anything else is a repetition or comes from a server that lags.
    if (position !== undefined && !isNewer(resourceVersion, position)) {
      if (event.type !== 'BOOKMARK') metrics.staleEvents.inc(resource);
      return;
    }
    if (event.type !== 'BOOKMARK') {
      const object = keep(event.object);
      const changes = event.type === 'DELETED' ? store.remove(object, resourceVersion) : store.put(object);
      deliver(own.takeExpected(resourceVersion) ? changes.map(owned) : changes);
    }
    advance(resourceVersion);
  };
  /**
   * In their order: those behind one that waits for the answer to an own write wait with it. When the watch is over by then, the next one tells
   * of them again.
   */
  const takeLines = (lines: readonly string[], isOpen: () => boolean): Promise<void> | undefined => {
    for (const [at, line] of lines.entries()) {
      if (isKept(line)) continue;
      const answers = own.answered(line);
      if (answers)
        return answers.then(() => {
          if (!isOpen()) return undefined;
          if (!isKept(line)) take(line);
          return takeLines(lines.slice(at + 1), isOpen);
        });
      take(line);
    }
    return undefined;
  };
  const watchOnce = async (from: string) => {
    const opened = performance.now();
    const [least, most] = timings.watchSeconds;
    const seconds = Math.round(least + Math.random() * (most - least));
    const broken = new AbortController();
    const watchdog = setInterval(
      () => {
        const now = performance.now();
        const silentMs = now - Math.max(heard, opened);
        if (silentMs > timings.silenceMs)
          broken.abort(new WatchError(0, `nothing was heard for ${Math.round(silentMs / 1000)} s`));
        else if (now - opened > seconds * 1000 + timings.silenceMs)
          broken.abort(new WatchError(0, `the server did not end a watch that was to last ${seconds} s`));
      },
      Math.ceil(timings.silenceMs / 4),
    );
    const signal = AbortSignal.any([closing.signal, broken.signal]);
    let isOpen = true;
    try {
      const query = { watch: '1', allowWatchBookmarks: 'true', resourceVersion: from, timeoutSeconds: String(seconds) };
      const pieces = await source.watch(query, signal);
      heard = performance.now();
      const split = lineSplitter(timings.maxLineBytes);
      await pieces.read((piece) => {
        heard = performance.now();
        return takeLines(split(piece), () => isOpen && !signal.aborted);
      });
    } catch (error) {
      throw broken.signal.aborted ? broken.signal.reason : error;
    } finally {
      isOpen = false;
      clearInterval(watchdog);
    }
  };

  const run = async () => {
    while (!closing.signal.aborted) {
      const started = performance.now();
      try {
        if (position === undefined || performance.now() > listDue) await relist();
        if (position !== undefined && !closing.signal.aborted) await watchOnce(position);
      } catch (error) {
        if (closing.signal.aborted) return;
        metrics.interruptions.inc(resource);
        if (statusOf(error)) answered = performance.now();
        log.warn({ err: error, resource: name, position }, 'list or watch was interrupted, going on');
        stuck += 1;
        // 504: the server does not know our version yet and may never (restored from a backup).
        if (statusOf(error) === 410 || statusOf(error) === 504 || stuck >= failuresUntilRelist) position = undefined;
      }
      failures = performance.now() - started >= timings.healthyMs ? 0 : failures + 1;
      const [first, max] = timings.backoffMs;
      // Jittered, because all watches of all operators end together when a server goes.
      const delay = failures === 0 ? 0 : Math.min(first * 2 ** (failures - 1), max) * (0.5 + Math.random());
      await sleep(delay, undefined, { signal: closing.signal }).catch(() => {});
    }
  };
  const staleSeconds = () => (performance.now() - heard) / 1000;
  const gauge = { name, staleSeconds, size: store.size };
  metrics.watches.add(gauge);
  const ended = run();

  return {
    name,
    get: store.get,
    list: store.list,
    size: store.size,
    synced: synced.promise,
    hasSynced: () => isSynced,
    staleSeconds,
    writing: own.begin,
    silentSeconds: () => (performance.now() - Math.max(heard, answered)) / 1000,
    observe: (object) => {
      const { namespace, resourceVersion } = object.metadata;
      const here = options.namespace === undefined || namespace === options.namespace;
      if (!isSynced || !here || !hasLabels(object, options.labels) || !resourceVersion) return;
      // What the watch has passed it has also told; an object that is not there by now was deleted.
      if (position === undefined || !isNewer(resourceVersion, position)) return;
      own.keep(resourceVersion);
      deliver(store.put(keep(object)).map(owned));
    },
    expect: async (resourceVersion) => {
      if (position !== undefined && isNewer(resourceVersion, position)) await own.expect(resourceVersion);
    },
    close: async () => {
      closing.abort(new Error(`the watch of ${name} was closed`));
      own.clear();
      clearTimeout(redelivery);
      metrics.watches.delete(gauge);
      synced.reject(new Error(`the watch of ${name} was closed before its first list was complete`));
      await ended;
    },
  };
};

const owned = (change: Change): Change => ({ ...change, isOwn: true });
