import type { Attempt } from '../connector.ts';
import type { Message } from '../message.ts';
import type { RunningAttempt } from './attempts.ts';
import type { StepPart } from './parts.ts';

/** Why a message did not get through, and at which step: the one that failed, not one that led it into its flow. */
export class StepError extends Error {
  override readonly name = 'StepError';
  readonly step: string;

  constructor(step: string, cause: unknown) {
    super(`step "${step}" failed`, { cause });
    this.step = step;
  }
}

/** What a message becomes after all these steps, one after the other. Throws a StepError. */
export const runSteps = async (
  steps: readonly StepPart[],
  message: Message,
  attempt: Attempt & Partial<Pick<RunningAttempt, 'timedOut' | 'orAbandoned'>>,
): Promise<readonly Message[]> => {
  let messages: readonly Message[] = [message];
  for (const step of steps) {
    const next: Message[] = [];
    for (const each of messages) {
      try {
        // Nobody waits any more for an attempt that was left behind.
        if (attempt.timedOut ? attempt.timedOut() : attempt.signal.aborted) attempt.signal.throwIfAborted();
        const result = step.run(each, attempt);
        if (!(result instanceof Promise)) add(next, each, result);
        else add(next, each, await (attempt.orAbandoned ? attempt.orAbandoned(result) : result));
      } catch (error) {
        throw error instanceof StepError ? error : new StepError(step.name, error);
      }
    }
    messages = next;
  }
  return messages;
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
