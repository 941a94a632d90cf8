import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { type Msg, RequestError } from '@nats-io/transport-node';
import { envelope } from '../accept.ts';
import type { Call, Log } from '../connector.ts';
import { reasonOf, retry } from '../errors.ts';
import { decodeAnswer, withTimeout } from '../nats/call.ts';
import { bucketSubject, callSubject, gatewayBucket, inUseEveryMs, wakeKey } from '../nats/names.ts';
import { headerLines, headersOf, wireHeaders } from '../transport/header-block.ts';
import type { JetStreamTransport } from '../transport/jetstream.ts';

/*
 * Request-reply, the gateway's side. While no worker listens, the request is held, a worker is asked for, and the call tried again until
 * the deadline: it was with nobody, so that is no repeat. What a worker had is never sent again.
 */
type Envelope = ReturnType<typeof envelope>;
export type Caller = (integration: string, suspended: boolean) => Call;

const firstPauseMs = 100;
const longestPauseMs = 1_000;
const wakeEveryMs = 1_000;
/** Requests that wait for a worker: of one Integration, and of all. */
const mostHeld = { each: 64, all: 512 };

export const createCaller = (transport: JetStreamTransport, signal: AbortSignal, log: Log): Caller => {
  const wokenAt = new Map<string, number>();
  const held = new Map<string, number>();

  const wake = (integration: string, everyMs: number): void => {
    const now = performance.now();
    if (now - (wokenAt.get(integration) ?? Number.NEGATIVE_INFINITY) < everyMs) return;
    wokenAt.set(integration, now);
    const subject = bucketSubject(gatewayBucket, wakeKey(integration));
    const body = Buffer.from(new Date().toISOString());
    transport.publish({ subject, id: randomUUID(), headers: {}, body }).catch((error: unknown) => {
      wokenAt.delete(integration);
      log.warn({ integration, reason: reasonOf(error) }, 'no worker could be asked for');
    });
  };

  /** `undefined`: nobody had it. */
  const once = async (integration: string, { headers, body }: Envelope, leftMs: number): Promise<Msg | undefined> => {
    if (!transport.healthy()) return undefined;
    try {
      return await transport.connection.request(callSubject(integration), body, {
        headers: wireHeaders(headerLines(withTimeout(headers, leftMs))),
        timeout: leftMs,
      });
    } catch (error) {
      if (error instanceof RequestError && error.isNoResponders()) return undefined;
      throw retry('CallTimeout', 'no answer came in time; the request may have been worked on', { cause: error });
    }
  };

  const whenAwake = async (integration: string, encoded: Envelope, deadline: number): Promise<Msg | undefined> => {
    const [own = 0, all] = [held.get(integration), [...held.values()].reduce((sum, count) => sum + count, 0)];
    if (own >= mostHeld.each || all >= mostHeld.all) return undefined;
    held.set(integration, own + 1);
    try {
      for (let wait = firstPauseMs; ; wait = Math.min(wait * 2, longestPauseMs)) {
        wake(integration, wakeEveryMs);
        const left = deadline - performance.now();
        if (left <= wait) return undefined;
        await pause(wait, undefined, { signal });
        const answer = await once(integration, encoded, deadline - performance.now());
        if (answer) return answer;
      }
    } finally {
      const rest = (held.get(integration) ?? 1) - 1;
      if (rest === 0) held.delete(integration);
      else held.set(integration, rest);
    }
  };

  return (integration, suspended) =>
    async (message, { timeoutMs }) => {
      if (suspended) throw retry('Suspended', 'the Integration is suspended');
      const deadline = performance.now() + timeoutMs;
      const encoded = envelope(message, transport.maxPayload());
      // Calls leave no trace in a stream: this is how the scaler sees that workers are in use, or wanted.
      wake(integration, inUseEveryMs);
      const answer = (await once(integration, encoded, timeoutMs)) ?? (await whenAwake(integration, encoded, deadline));
      if (!answer) throw retry('NoWorker', 'no worker took the request in time');
      return decodeAnswer(headersOf(answer), answer.data);
    };
};
