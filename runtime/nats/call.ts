import { type FailureClass, type InstructionError, reject, retry } from '../errors.ts';
import type { Message } from '../message.ts';
import { decodeMessage, encodeMessage, type Headers, percentDecoded, percentEncoded } from './envelope.ts';

/*
 * Request-reply on the wire: a message with the time that is left, and as the answer a message, nothing, or what failed. Times are
 * relative, since clocks of pods differ.
 */
const names = {
  timeout: 'kanava-timeout-ms',
  answer: 'kanava-answer',
  class: 'kanava-class',
  code: 'kanava-code',
  message: 'kanava-message',
} as const;

interface Encoded {
  readonly headers: Headers;
  readonly body: Uint8Array;
}
const nothing = new Uint8Array();
const shortest = 1;

export const withTimeout = (headers: Headers, timeoutMs: number): Headers => ({
  ...headers,
  [names.timeout]: String(Math.max(shortest, Math.floor(timeoutMs))),
});

/** Throws `reject('NoEnvelope')`. */
export const decodeCall = (headers: Headers, body: Uint8Array): { message: Message; timeoutMs: number } => {
  const timeoutMs = Number(headers[names.timeout]);
  if (!(timeoutMs > 0)) throw reject('NoEnvelope', 'the call says no time-out');
  return { message: decodeMessage(headers, body), timeoutMs };
};

export const encodeAnswer = (message: Message | undefined): Encoded => {
  if (message === undefined) return { headers: { [names.answer]: 'nothing' }, body: nothing };
  const { headers, body } = encodeMessage(message);
  return { headers: { ...headers, [names.answer]: 'message' }, body };
};

export interface CallFailure {
  readonly class: FailureClass;
  readonly code: string;
  readonly message: string;
}
const longestMessage = 1024;
export const encodeFailure = (failure: CallFailure): Encoded => ({
  headers: {
    [names.answer]: 'failure',
    [names.class]: failure.class,
    [names.code]: failure.code,
    [names.message]: percentEncoded(failure.message.slice(0, longestMessage)),
  },
  body: nothing,
});

/** The answer's message, or nothing. Throws what failed: `reject` when trying again cannot help. */
export const decodeAnswer = (headers: Headers, body: Uint8Array): Message | undefined => {
  switch (headers[names.answer]) {
    case 'message':
      return decodeMessage(headers, body);
    case 'nothing':
      return undefined;
    case 'failure':
      throw failureIn(headers);
    default:
      throw retry('NoAnswer', 'what came back from the worker is no answer: it is of another version');
  }
};

const failureIn = (headers: Headers): InstructionError => {
  const failure = headers[names.class] as FailureClass;
  const make = failure === 'permanent' ? reject : retry;
  return make(headers[names.code] ?? 'Unknown', percentDecoded(headers[names.message] ?? ''), { failure });
};
