import type { Attempt, StepResult } from '../connector.ts';
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

type RunAttempt = Attempt & Partial<Pick<RunningAttempt, 'timedOut' | 'orAbandoned'>>;
type Messages = readonly Message[];

/** What a message becomes after all these steps, one after the other: at once, when all of them say so at once. Throws a StepError. */
export const runSteps = (
  steps: readonly StepPart[],
  message: Message,
  attempt: RunAttempt,
): Messages | Promise<Messages> => {
  let current = message;
  for (let at = 0; at < steps.length; at += 1) {
    const result = runStep(steps[at] as StepPart, current, attempt);
    if (result === undefined) return [];
    if (result instanceof Promise || isList(result)) return runRest(steps, at, current, result, attempt);
    current = result;
  }
  return [current];
};

const runStep = (step: StepPart, message: Message, attempt: RunAttempt): StepResult | Promise<StepResult> => {
  try {
    // Nobody waits any more for an attempt that was left behind.
    if (attempt.timedOut ? attempt.timedOut() : attempt.signal.aborted) attempt.signal.throwIfAborted();
    return step.run(message, attempt);
  } catch (error) {
    throw asStepError(step, error);
  }
};

/** From the first step on that gives a promise, or several messages. */
const runRest = async (
  steps: readonly StepPart[],
  at: number,
  parent: Message,
  first: Promise<StepResult> | readonly Message[],
  attempt: RunAttempt,
): Promise<Messages> => {
  let messages: Message[] = [];
  add(messages, parent, await settled(steps[at] as StepPart, first, attempt));
  for (const step of steps.slice(at + 1)) {
    const next: Message[] = [];
    for (const each of messages) add(next, each, await settled(step, runStep(step, each, attempt), attempt));
    messages = next;
  }
  return messages;
};

const settled = async (
  step: StepPart,
  result: StepResult | Promise<StepResult>,
  attempt: RunAttempt,
): Promise<StepResult> => {
  if (!(result instanceof Promise)) return result;
  try {
    return await (attempt.orAbandoned ? attempt.orAbandoned(result) : result);
  } catch (error) {
    throw asStepError(step, error);
  }
};

const asStepError = (step: StepPart, error: unknown): StepError =>
  error instanceof StepError ? error : new StepError(step.name, error);

const add = (next: Message[], parent: Message, result: StepResult) => {
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
