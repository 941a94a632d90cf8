import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../connector.ts';
import { reasonOf } from '../errors.ts';
import type { Applied } from '../flow.ts';
import { appliedKey, bucketSubject, gatewayBucket } from '../nats/names.ts';
import type { Transport } from '../transport/transport.ts';

/** Tells the operator what is served. Repeats until it is stored; of several reports on one Integration the last one counts. */
export interface AppliedReports {
  report(integration: string, applied: Applied | undefined): void;
  close(): Promise<void>;
}
const firstBackoffMs = 200;
const longestBackoffMs = 10_000;

export const createAppliedReports = (transport: Transport, log: Log): AppliedReports => {
  const waiting = new Map<string, Applied>();
  const stop = new AbortController();
  let running: Promise<void> | undefined;

  const flush = async (): Promise<void> => {
    let backoff = firstBackoffMs;
    while (waiting.size > 0 && !stop.signal.aborted) {
      for (const [integration, applied] of waiting) {
        try {
          await transport.publish({
            subject: bucketSubject(gatewayBucket, appliedKey(integration)),
            id: randomUUID(),
            headers: {},
            body: Buffer.from(JSON.stringify(applied)),
          });
          if (waiting.get(integration) === applied) waiting.delete(integration);
          backoff = firstBackoffMs;
        } catch (error) {
          log.warn({ integration, reason: reasonOf(error) }, 'the applied revision is not stored yet');
        }
      }
      if (waiting.size === 0) break;
      await delay(backoff, undefined, { signal: stop.signal }).catch(() => undefined);
      backoff = Math.min(backoff * 2, longestBackoffMs);
    }
    running = undefined;
  };

  return {
    report(integration, applied) {
      // The operator removes the key of an Integration that is gone.
      if (!applied) return void waiting.delete(integration);
      waiting.set(integration, applied);
      running ??= flush();
      return undefined;
    },
    async close() {
      stop.abort();
      await running;
    },
  };
};
