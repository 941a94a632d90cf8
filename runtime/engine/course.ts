import { reject } from '../errors.ts';
import { replayHeaders as names, percentDecoded, resumeHeader } from '../nats/envelope.ts';
import { inboxStream } from '../nats/names.ts';
import type { Delivery } from '../transport/transport.ts';
import type { StepPart } from './parts.ts';

/** Which part of the way a message goes: all of it, unless it is a replay that asks for less, or a step put it into the inbox. */
export interface Course {
  /** Step to start at; the message is as it was accepted. */
  readonly from?: string | undefined;
  /** Step that made the message and begins with it. */
  readonly resume?: string | undefined;
  /** The only key to deliver: a sink, for one of several messages also which one. */
  readonly only?: string | undefined;
}
export const whole: Course = {};

/** Into its own inbox only our intakes, this Integration's workers and those who may replay can write: from elsewhere nobody is believed. */
export const isReplay = ({ stream, headers }: Delivery, integration: string): boolean =>
  headers[names.count] !== undefined && stream === inboxStream(integration);

export const replayOf = (delivery: Delivery, integration: string): number | undefined =>
  isReplay(delivery, integration) ? Number(delivery.headers[names.count]) : undefined;

export const courseOf = (delivery: Delivery, integration: string): Course => {
  const resume = resumeOf(delivery, integration);
  if (!isReplay(delivery, integration)) return resume === undefined ? whole : { resume };
  const read = (name: string) => {
    const value = delivery.headers[name];
    return value === undefined ? undefined : percentDecoded(value);
  };
  return { from: read(names.from), only: read(names.only), resume };
};

/** The step that put the message into this inbox. */
export const resumeOf = ({ stream, headers }: Delivery, integration: string): string | undefined =>
  headers[resumeHeader] !== undefined && stream === inboxStream(integration) ? headers[resumeHeader] : undefined;

/** The steps that are left of the way. A step inside a flow cannot be the first: which way led to it is unknown. */
export const stepsOn = ({ from, resume }: Course, steps: readonly StepPart[]): readonly StepPart[] => {
  const first = from ?? resume;
  if (first === undefined) return steps;
  const start = steps.findIndex(({ name }) => name === first);
  const [step, ...rest] = start < 0 ? [] : steps.slice(start);
  if (!step) throw reject('UnknownStep', `the message was to start at "${first}": spec.steps has no step of that name`);
  return from === undefined ? [{ ...step, run: step.resume }, ...rest] : [step, ...rest];
};

/** A sink that is gone must not swallow the replay. */
export const unknownSink = (only: string) =>
  reject('UnknownSink', `the replay was for "${only}" only: no sink gets a message by that name any more`);
