import { expect, it } from 'vitest';
import { createPause } from '../../../runtime/engine/pause.ts';
import { failureOf } from '../../../runtime/engine/retry.ts';
import { retry } from '../../../runtime/errors.ts';
import { silent } from './workshop.ts';

const fatal = failureOf('out', 'out', retry('HttpStatus401', 'no', { failure: 'fatal' }), false);
const policy = { attempts: 3, initialMs: 1_000, maxMs: 300_000 };

it('after a fatal failure one message is tried after growing waits; the first that says otherwise ends the pause', () => {
  let now = 0;
  const pause = createPause({ policy, now: () => now, random: () => 1, log: silent });
  const attempt = (outcome: typeof fatal | undefined) => {
    pause.started();
    pause.ended(outcome);
  };
  attempt(undefined);
  expect([pause.mayStart(), pause.reason()]).toEqual([true, undefined]);

  pause.ended(fatal);
  expect([pause.mayStart(), pause.reason()]).toEqual([false, { part: 'out', code: 'HttpStatus401' }]);
  pause.ended(fatal);
  pause.ended(undefined);
  expect(pause.mayStart(), 'what ran before says nothing new').toBe(false);

  now = 999;
  expect(pause.mayStart()).toBe(false);
  now = 1_000;
  expect(pause.mayStart(), 'the first wait, not twice for two failures').toBe(true);
  pause.started();
  expect(pause.mayStart(), 'one at a time').toBe(false);
  pause.saidNothing();
  expect(pause.mayStart(), 'that one had to be run alone: another try').toBe(true);
  attempt(fatal);
  now = 2_999;
  expect(pause.mayStart()).toBe(false);
  now = 3_000;
  expect(pause.mayStart(), 'twice as long').toBe(true);
  for (let tries = 0; tries < 20; tries += 1) attempt(fatal);
  now += 60_000;
  expect(pause.mayStart(), 'a minute at most').toBe(true);

  attempt(undefined);
  expect([pause.mayStart(), pause.reason()]).toEqual([true, undefined]);
});
