import type { z } from 'zod';
import { defineStep } from '../connector.ts';
import { postpone } from '../errors.ts';
import { duration, integer, milliseconds, shape } from '../schema.ts';

const config = shape(
  'Lets so many messages through in a time.',
  {
    rate: integer('Messages in that time.', 1, 1_000_000),
    per: duration('The time, such as 1s.'),
    burst: integer('Messages that may go on at once; 1 when absent.', 1, 100_000).optional(),
  },
  {
    doc: 'Counted in each worker: with several, all of them together let so many times more through. A repeated attempt counts again. What has to wait for less than 5s waits in the worker and slows it down; the rest is parked with the broker. A call (http with reply) that would wait longer fails with Throttled.',
  },
);

/** Longer waits would eat the time that the sinks have within delivery.timeout. */
const longestWaitMs = 5_000;

/*
 * Throttler. One number says when the next message would be due if they came evenly (GCRA): each one moves it on, and may be ahead of it
 * by the burst. Who waits here has its place already; who would wait for too long takes none, and asks again later.
 */
export const throttleStep = defineStep<z.infer<typeof config>>({
  name: 'throttle',
  summary: 'Lets so many messages through in a time.',
  config,
  state: 'none',
  open({ rate, per, burst = 1 }) {
    const intervalMs = (milliseconds(per) ?? 0) / rate;
    let next = 0;
    return {
      run(message, { signal }) {
        const now = performance.now();
        const waitMs = next - (burst - 1) * intervalMs - now;
        if (waitMs > longestWaitMs) throw throttled(waitMs);
        next = Math.max(next, now) + intervalMs;
        if (waitMs <= 0) return message;
        return new Promise((resolve, reject) => {
          const end = () => {
            clearTimeout(timer);
            reject(throttled(waitMs));
          };
          const timer = setTimeout(() => {
            signal.removeEventListener('abort', end);
            resolve(message);
          }, waitMs);
          signal.addEventListener('abort', end, { once: true });
        });
      },
    };
  },
  examples: () => [
    {
      why: 'ten a second, one after the other',
      config: { rate: 10, per: '1s' },
      given: { body: { no: 7 } },
      becomes: [{ body: { no: 7 } }],
    },
    {
      why: 'a thousand an hour, a hundred of them at once',
      config: { rate: 1_000, per: '1h', burst: 100 },
      given: { body: { no: 7 } },
      becomes: [{ body: { no: 7 } }],
    },
    {
      why: 'a body of any kind: it is not read',
      config: { rate: 1, per: '1m' },
      given: { text: 'no JSON' },
      becomes: [{ text: 'no JSON' }],
    },
    { why: 'none at all', config: { rate: 0, per: '1s' }, refused: 'rate' },
  ],
});

/** It was nobody's attempt. */
const throttled = (afterMs: number) =>
  postpone('Throttled', 'more messages came than throttle.rate lets through', { afterMs });
