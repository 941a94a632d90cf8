import type { Attempt, StepResult } from '../connector.ts';
import { reject } from '../errors.ts';
import type { Message } from '../message.ts';
import type { RunningAttempt } from './attempts.ts';
import type { StepPart } from './parts.ts';
import { createTurn } from './turn.ts';

/** One message becomes at most so many: each of them takes memory until all are delivered. */
export const mostMessages = 10_000;

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
    if (result instanceof Promise || isSeveral(result)) return runRest(steps, at, current, result, attempt);
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
  first: Promise<StepResult> | Iterable<Message>,
  attempt: RunAttempt,
): Promise<Messages> => {
  let messages: Message[] = [];
  const splitting = steps[at] as StepPart;
  add(messages, splitting, parent, await settled(splitting, first, attempt));
  const turn = createTurn();
  for (const step of steps.slice(at + 1)) {
    const next: Message[] = [];
    for (const each of messages) {
      if (turn.isOver()) await turn.next();
      add(next, step, each, await settled(step, runStep(step, each, attempt), attempt));
    }
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

const add = (next: Message[], step: StepPart, parent: Message, result: StepResult) => {
  if (result === undefined) return;
  if (isSeveral(result)) addAll(next, step, parent, result);
  else next.push(result);
};
const addAll = (next: Message[], step: StepPart, parent: Message, children: Iterable<Message>) => {
  let index = 0;
  try {
    for (const child of children) {
      if (next.length === mostMessages)
        throw reject('TooManyMessages', `the message becomes more than ${mostMessages}; send it in smaller portions`);
      next.push(childOf(parent, child, index));
      index += 1;
    }
  } catch (error) {
    throw asStepError(step, error);
  }
};
const isSeveral = (result: Message | Iterable<Message>): result is Iterable<Message> => !('attrs' in result);

/** Children have the same ids at every attempt, so that sinks can tell repeats. */
export const childOf = (parent: Message, child: Message, index: number): Message =>
  child.attrs.id === parent.attrs.id
    ? { ...child, attrs: { ...child.attrs, id: `${parent.attrs.id}/${index}`, causationid: parent.attrs.id } }
    : child;
