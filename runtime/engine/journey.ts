import type { Message } from '../message.ts';
import type { RunningAttempt } from './attempts.ts';
import type { Parts } from './parts.ts';
import { type Failure, failureOf } from './retry.ts';

export interface Arrival {
  readonly failures: readonly Failure[];
  /** No sink had to get anything. */
  readonly filtered: boolean;
}

/**
 * One attempt of one message: through the steps, then to every sink whose `when` holds and that has not confirmed yet. Sinks run side
 * by side, so that a slow one cannot eat the others' time. Confirmed keys are added to `confirmed` as they come.
 */
export const travel = async (
  { steps, sinks }: Parts,
  message: Message,
  attempt: RunningAttempt,
  confirmed: Set<string>,
): Promise<Arrival> => {
  let messages: readonly Message[] = [message];
  for (const step of steps) {
    const next: Message[] = [];
    for (const each of messages) {
      try {
        const result = step.run(each, attempt);
        add(next, each, result instanceof Promise ? await Promise.race([result, attempt.abandoned]) : result);
      } catch (error) {
        return { failures: [failureOf(step.name, undefined, error, attempt.timedOut())], filtered: false };
      }
    }
    messages = next;
  }

  const failures: Failure[] = [];
  let wanted = 0;
  const deliver = async (each: Message, sink: (typeof sinks)[number], key: string) => {
    try {
      if (!sink.holds(each, attempt)) return;
      wanted += 1;
      await Promise.race([sink.send(each, attempt), attempt.abandoned]);
      confirmed.add(key);
    } catch (error) {
      wanted += 1;
      failures.push(failureOf(sink.name, key, error, attempt.timedOut()));
    }
  };
  for (const each of messages) {
    const open = sinks
      .map((sink) => ({ sink, key: sinkKey(sink.name, message, each) }))
      .filter(({ key }) => !confirmed.has(key));
    wanted += sinks.length - open.length;
    await Promise.all(open.map(({ sink, key }) => deliver(each, sink, key)));
  }
  return { failures, filtered: wanted === 0 };
};

const add = (next: Message[], parent: Message, result: Message | undefined | readonly Message[]) => {
  if (result === undefined) return;
  if (!isList(result)) next.push(result);
  else result.forEach((child, index) => next.push(childOf(parent, child, index)));
};
const isList = (result: Message | readonly Message[]): result is readonly Message[] => Array.isArray(result);

/** Children have the same ids at every attempt, so that sinks can tell repeats. */
const childOf = (parent: Message, child: Message, index: number): Message =>
  child.attrs.id === parent.attrs.id
    ? { ...child, attrs: { ...child.attrs, id: `${parent.attrs.id}/${index}`, causationid: parent.attrs.id } }
    : child;

/** The sink's name; for one of several messages also what tells it apart from the others. */
const sinkKey = (sink: string, original: Message, each: Message): string => {
  if (each.attrs.id === original.attrs.id) return sink;
  const prefix = `${original.attrs.id}/`;
  return `${sink}/${each.attrs.id.startsWith(prefix) ? each.attrs.id.slice(prefix.length) : `=${each.attrs.id}`}`;
};
