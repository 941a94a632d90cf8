import { reject } from '../errors.ts';
import { replayHeaders as names, percentDecoded } from '../nats/envelope.ts';
import { inboxStream } from '../nats/names.ts';
import type { Delivery } from '../transport/transport.ts';
import type { StepPart } from './parts.ts';

/** Which part of the way a message goes: all of it, unless it is a replay that asks for less. */
export interface Course {
  /** Step to start at; the message is as it was accepted. */
  readonly from?: string | undefined;
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
  if (!isReplay(delivery, integration)) return whole;
  const read = (name: string) => {
    const value = delivery.headers[name];
    return value === undefined ? undefined : percentDecoded(value);
  };
  return { from: read(names.from), only: read(names.only) };
};

/** The steps that are left of the way. A step inside a flow cannot be the first: which way led to it is unknown. */
export const stepsOn = ({ from }: Course, steps: readonly StepPart[]): readonly StepPart[] => {
  if (from === undefined) return steps;
  const start = steps.findIndex(({ name }) => name === from);
  if (start < 0)
    throw reject('UnknownStep', `the replay was to start at "${from}": spec.steps has no step of that name`);
  return steps.slice(start);
};

/** A sink that is gone must not swallow the replay. */
export const unknownSink = (only: string) =>
  reject('UnknownSink', `the replay was for "${only}" only: no sink gets a message by that name any more`);
