import { randomUUID } from 'node:crypto';
import type { Log } from '../connector.ts';
import { InstructionError, reasonOf } from '../errors.ts';
import type { Flow } from '../flow.ts';
import { Body, type Message } from '../message.ts';
import { type CallFailure, decodeCall, encodeAnswer, encodeFailure } from '../nats/call.ts';
import type { Counters } from '../telemetry.ts';
import type { IncomingCall } from '../transport/transport.ts';
import type { RunningAttempt } from './attempts.ts';
import { whole } from './course.ts';
import { travel } from './journey.ts';
import type { Parts } from './parts.ts';
import type { Failure } from './retry.ts';
import { type Listener, tellAll } from './settlement.ts';

/*
 * Request-reply: one attempt through steps and sinks, then the answer. Whoever asked decides about another one, so nothing is retried,
 * stored or dead-lettered here. An answer says that every sink had the message.
 */
export interface Calls {
  handle(call: IncomingCall): void;
  /** Lets what runs finish within `graceMs`. No more may come. */
  drain(graceMs: number): Promise<void>;
}
export interface CallsOptions {
  readonly flow: Flow;
  readonly parts: Parts;
  readonly counters: Counters;
  readonly log: Log;
}

export const createCalls = ({ flow, parts, counters, log }: CallsOptions): Calls => {
  const running = new Set<{ readonly ended: Promise<void>; stop(): void }>();

  const run = async (call: IncomingCall, begin: (timeoutMs: number) => RunningAttempt): Promise<void> => {
    counters.calls += 1;
    let attempt: RunningAttempt | undefined;
    try {
      const { message, timeoutMs } = decodeCall(call.headers, call.body);
      attempt = begin(timeoutMs);
      let messages: readonly Message[] = [];
      const made = (what: readonly Message[]) => void (messages = what);
      const { failures } = await travel(parts, message, attempt, { course: whole, confirmed: [], made });
      const [failure] = failures;
      // Whoever asked is answered in any case: a step that forgets makes no call fail that reached its sinks.
      await attempt.settle?.(failure ? 'withdrawn' : 'delivered').catch((error: unknown) => {
        counters.stateRefused += 1;
        log.error({ reason: reasonOf(error) }, 'a step could not write down what became of a call');
      });
      if (!failure) return respond(call, encodeAnswer(joined(messages)));
      fail(call, failureOf(failure));
      log.warn({ part: failure.part, code: failure.code, class: failure.class }, 'a call failed');
    } catch (error) {
      fail(call, unexpected(error));
      log.warn({ reason: reasonOf(error) }, 'a call failed');
    } finally {
      attempt?.end();
    }
  };
  const fail = (call: IncomingCall, failure: CallFailure) => {
    counters.callsFailed += 1;
    respond(call, encodeFailure(failure));
  };

  return {
    handle(call) {
      if (running.size >= flow.delivery.concurrency) {
        fail(call, { class: 'transient', code: 'Busy', message: 'the worker has as many messages in work as it may' });
        return;
      }
      let stop: () => void = () => undefined;
      const begin = (timeoutMs: number) => {
        const attempt = attemptOf(timeoutMs);
        stop = attempt.abort;
        return attempt;
      };
      const entry = { ended: run(call, begin), stop: () => stop() };
      running.add(entry);
      void entry.ended.then(() => running.delete(entry));
    },
    async drain(graceMs) {
      const stopAll = () => {
        for (const { stop } of running) stop();
      };
      const grace = setTimeout(stopAll, graceMs);
      await Promise.all([...running].map(({ ended }) => ended));
      clearTimeout(grace);
    },
  };
};

/** A call's own deadline; a part that does not obey its signal is left behind at once, because nobody waits any more. */
const attemptOf = (timeoutMs: number): RunningAttempt & { abort(): void } => {
  const controller = new AbortController();
  const { promise: abandoned, reject: abandon } = Promise.withResolvers<never>();
  abandoned.catch(() => undefined);
  let timedOut = false;
  let listeners: Listener[] | undefined;
  const origin = `call/${randomUUID()}`;
  const end = (reason: DOMException) => {
    controller.abort(reason);
    abandon(reason);
  };
  const timer = setTimeout(() => {
    timedOut = true;
    end(new DOMException('the call took longer than its time-out', 'TimeoutError'));
  }, timeoutMs);
  return {
    number: 1,
    origin,
    acceptedAt: Date.now(),
    repeated: false,
    settled(listener) {
      listeners ??= [];
      listeners.push(listener);
    },
    get settle() {
      return listeners && tellAll(listeners);
    },
    signal: controller.signal,
    timedOut: () => timedOut,
    orAbandoned: (work) => Promise.race([work, abandoned]),
    onAbandoned: (leave) => void abandoned.catch(leave),
    end: () => clearTimeout(timer),
    abort: () => end(new DOMException('the worker shuts down', 'AbortError')),
  };
};

/** One message is the answer; several are one JSON list. */
const joined = (messages: readonly Message[]): Message | undefined => {
  const [first] = messages;
  if (messages.length <= 1 || !first) return first;
  const body = Body.fromValue(messages.map((message) => message.body.value()));
  return { ...first, attrs: { ...first.attrs, datacontenttype: 'application/json' }, body };
};

const respond = (call: IncomingCall, { headers, body }: ReturnType<typeof encodeAnswer>): void => {
  try {
    call.answer(headers, body);
  } catch (error) {
    const failure = encodeFailure({ class: 'permanent', code: 'AnswerTooLarge', message: reasonOf(error) });
    call.answer(failure.headers, failure.body);
  }
};

/** What a step says of the message is for whoever sent it; what another system said to a sink is not. */
const failureOf = ({ part, key, class: failure, code, message }: Failure): CallFailure => {
  const isStep = key === undefined;
  if (code === 'AttemptTimeout')
    return { class: 'transient', code: 'CallTimeout', message: `"${part}" was not done in time` };
  return isStep && failure === 'permanent'
    ? { class: 'permanent', code, message: `step "${part}": ${message}` }
    : { class: failure === 'permanent' ? 'transient' : failure, code, message: `"${part}" failed` };
};

const unexpected = (error: unknown): CallFailure =>
  error instanceof InstructionError
    ? { class: error.failure, code: error.code, message: error.message }
    : { class: 'transient', code: 'Unexpected', message: 'the worker failed' };
