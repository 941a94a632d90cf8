import { createHash, randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { KubeObject, ResourceKind } from '../reconcile/ports.ts';
import { apiPath } from './api-path.ts';
import type { Transport } from './transport.ts';

export interface Occurrence {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}
export interface EventRecorder {
  /** Never throws and never waits. */
  record(about: KubeObject, occurrence: Occurrence): void;
  /** Writes the counts that are due, and stops. */
  close(): Promise<void>;
}
interface Series {
  readonly path: string;
  count: number;
  written: number;
  lastAt: number;
  lastTime: string;
  isCreated: boolean;
}
interface Bucket {
  tokens: number;
  at: number;
}

const kind: ResourceKind = { apiVersion: 'events.k8s.io/v1', kind: 'Event', plural: 'events', namespaced: true };
/** client-go's: 25 events an object at once, then one in five minutes; a series ends when it has been quiet for six minutes. */
const burst = 25;
const refillMs = 300_000;
const seriesMs = 360_000;
const countsEveryMs = 60_000;
/** The server's bound for `note`. */
const longestNote = 1024;
const mostWaiting = 1000;
const mostObjects = 10_000;

const microTime = () => new Date().toISOString().replace('Z', '000Z');

/**
 * Events of events.k8s.io/v1. The same thing said again about the same object is one event whose count is written once a minute, and no
 * object causes more than a few: ten thousand failures are a handful of writes.
 */
export const createEventRecorder = (options: {
  readonly transport: Transport;
  readonly log: Logger;
  /** `kanava.dev/operator`, and the pod. */
  readonly controller: string;
  readonly instance: string;
  readonly countsEveryMs?: number;
}): EventRecorder => {
  const { transport, log, controller, instance } = options;
  const series = new Map<string, Series>();
  const buckets = new Map<string, Bucket>();
  let waiting = 0;
  let sending: Promise<void> = Promise.resolve();

  const enqueue = (what: string, send: () => Promise<unknown>) => {
    if (waiting >= mostWaiting) return;
    waiting += 1;
    sending = sending.then(async () => {
      try {
        await send();
      } catch (error) {
        log.debug({ err: error, event: what }, 'an event could not be written');
      } finally {
        waiting -= 1;
      }
    });
  };
  const isAllowed = (object: string): boolean => {
    const now = performance.now();
    // Forgetting all at once is crude and bounded; it lets each object speak again.
    if (buckets.size >= mostObjects) buckets.clear();
    const bucket = buckets.get(object) ?? { tokens: burst, at: now };
    bucket.tokens = Math.min(burst, bucket.tokens + (now - bucket.at) / refillMs);
    bucket.at = now;
    buckets.set(object, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  };
  const writeCounts = () => {
    for (const [key, event] of series) {
      if (event.isCreated && event.count > event.written) {
        event.written = event.count;
        const body = { series: { count: event.count, lastObservedTime: event.lastTime } };
        enqueue(key, () =>
          transport.request({ method: 'PATCH', path: event.path, body, contentType: 'application/merge-patch+json' }),
        );
      }
      if (performance.now() - event.lastAt > seriesMs) series.delete(key);
    }
  };
  const timer = setInterval(writeCounts, options.countsEveryMs ?? countsEveryMs);
  timer.unref();

  return {
    record: (about, { type, reason, message }) => {
      const { name, uid = '' } = about.metadata;
      const object = `${about.kind}/${about.metadata.namespace ?? ''}/${name}/${uid}`;
      const note = message.length > longestNote ? `${message.slice(0, longestNote - 3)}...` : message;
      const key = createHash('sha256')
        .update(JSON.stringify([object, type, reason, note]))
        .digest('hex');
      const known = series.get(key);
      const time = microTime();
      if (known && performance.now() - known.lastAt <= seriesMs) {
        known.count += 1;
        known.lastAt = performance.now();
        known.lastTime = time;
        return;
      }
      if (series.size >= mostObjects || !isAllowed(object)) return;
      // Kubernetes keeps events of cluster-scoped objects in `default` and refuses them elsewhere.
      const namespace = about.metadata.namespace ?? 'default';
      const eventName = `${name.slice(0, 200)}.${randomUUID().slice(0, 8)}`;
      const body = {
        apiVersion: kind.apiVersion,
        kind: kind.kind,
        metadata: { name: eventName, namespace },
        eventTime: time,
        type,
        reason,
        note,
        action: 'Reconcile',
        reportingController: controller,
        reportingInstance: instance.slice(0, 128),
        regarding: {
          apiVersion: about.apiVersion,
          kind: about.kind,
          name,
          uid,
          ...(about.metadata.namespace && { namespace: about.metadata.namespace }),
          ...(about.metadata.resourceVersion && { resourceVersion: about.metadata.resourceVersion }),
        },
      };
      const path = apiPath(kind, { namespace, name: eventName });
      const event = { path, count: 1, written: 1, lastAt: performance.now(), lastTime: time, isCreated: false };
      series.set(key, event);
      enqueue(key, async () => {
        try {
          await transport.request({ method: 'POST', path: apiPath(kind, { namespace }), body });
          event.isCreated = true;
        } catch (error) {
          // The next occurrence tries again.
          series.delete(key);
          throw error;
        }
      });
    },
    close: async () => {
      clearInterval(timer);
      await sending;
      writeCounts();
      await sending;
    },
  };
};
