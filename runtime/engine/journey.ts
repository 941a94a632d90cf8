import type { Message } from '../message.ts';
import type { RunningAttempt } from './attempts.ts';
import { type Course, stepsOn, unknownSink } from './course.ts';
import type { Parts } from './parts.ts';
import { type Failure, failureOf } from './retry.ts';
import { runSteps, StepError } from './steps.ts';

export interface Arrival {
  readonly failures: readonly Failure[];
  /** No sink had to get anything. */
  readonly filtered: boolean;
  /** What the steps made of it; absent when one of them failed. */
  readonly messages?: readonly Message[];
}

/**
 * One attempt of one message: through the steps, then to every sink whose `when` holds and that has not confirmed yet. Sinks run side
 * by side, so that a slow one cannot eat the others' time. Confirmed keys are added to `confirmed` as they come.
 */
export const travel = async (
  { steps, sinks }: Parts,
  course: Course,
  message: Message,
  attempt: RunningAttempt,
  confirmed: Set<string>,
): Promise<Arrival> => {
  let messages: readonly Message[];
  try {
    messages = await runSteps(stepsOn(course, steps), message, attempt);
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    return { failures: [failureOf(error.step, undefined, error.cause, attempt.timedOut())], filtered: false };
  }

  const failures: Failure[] = [];
  let wanted = 0;
  const deliver = async (each: Message, sink: (typeof sinks)[number], key: string) => {
    try {
      if (!sink.holds(each, attempt)) return;
      wanted += 1;
      await attempt.orAbandoned(sink.send(each, attempt));
      confirmed.add(key);
    } catch (error) {
      wanted += 1;
      failures.push(failureOf(sink.name, key, error, attempt.timedOut()));
    }
  };
  const { only } = course;
  let known = only === undefined || messages.length === 0;
  for (const each of messages) {
    const deliveries: Promise<void>[] = [];
    for (const sink of sinks) {
      const key = sinkKey(sink.name, message, each);
      if (only !== undefined && key !== only) continue;
      known = true;
      if (confirmed.has(key)) wanted += 1;
      else deliveries.push(deliver(each, sink, key));
    }
    await (deliveries.length === 1 ? deliveries[0] : Promise.all(deliveries));
  }
  if (!known) throw unknownSink(only as string);
  return { failures, filtered: wanted === 0, messages };
};

/** The sink's name; for one of several messages also what tells it apart from the others. */
const sinkKey = (sink: string, original: Message, each: Message): string => {
  if (each.attrs.id === original.attrs.id) return sink;
  const prefix = `${original.attrs.id}/`;
  return `${sink}/${each.attrs.id.startsWith(prefix) ? each.attrs.id.slice(prefix.length) : `=${each.attrs.id}`}`;
};
