import { reject } from '../errors.ts';
import type { Message } from '../message.ts';
import type { RunningAttempt } from './attempts.ts';
import { stepsOn, unknownSink } from './course.ts';
import { type Arrival, deliverAll, sinkKey, travel, type Way } from './journey.ts';
import type { Parts, StepPart } from './parts.ts';
import { type Failure, failureOf } from './retry.ts';
import { childOf, mostMessages, runSteps, StepError } from './steps.ts';
import { createTurn } from './turn.ts';

/**
 * The way of a message with a large body: where a step takes it apart before any other needs the whole, each of its messages goes all the
 * way to the sinks before the next one is made. A step that refuses one of them ends the attempt there; those before it are delivered.
 */
export const travelLarge = async (
  parts: Parts,
  message: Message,
  attempt: RunningAttempt,
  way: Way,
): Promise<Arrival> => {
  const steps = stepsOn(way.course, parts.steps);
  const at = steps.findIndex(({ takesParts, takeApart }) => takeApart || !takesParts);
  const splitting = steps[at];
  if (!splitting?.takeApart) return travel(parts, message, attempt, way);

  const failures: Failure[] = [];
  const confirmed = new Set(way.confirmed);
  const { only } = way.course;
  const { id } = message.attrs;
  const keysOf = (messages: readonly Message[]) =>
    messages.flatMap((each) => parts.sinks.map(({ name }) => sinkKey(name, id, each)));
  let [filtered, known, index] = [true, false, 0];
  const deliver = async (made: readonly Message[]) => {
    const meant = made.filter((each) => only === undefined || keysOf([each]).includes(only));
    if (meant.length === 0) return;
    known = true;
    // Of thousands only those that it has to do with.
    const its = keysOf(meant).filter((key) => confirmed.has(key));
    const arrival = await deliverAll(parts.sinks, meant, attempt, { id, only, confirmed: its });
    failures.push(...arrival.failures);
    for (const key of arrival.confirmed) confirmed.add(key);
    if (!arrival.filtered) filtered = false;
  };
  try {
    const [current] = await runSteps(steps.slice(0, at), message, attempt);
    if (!current) return { failures, filtered, confirmed: way.confirmed };
    const rest = steps.slice(at + 1);
    const turn = createTurn();
    for await (const child of apart(splitting, current, attempt)) {
      if (index === mostMessages)
        throw new StepError(
          splitting.name,
          reject('TooManyMessages', `the message becomes more than ${mostMessages}; send it in smaller portions`),
        );
      if (turn.isOver()) await turn.next();
      await deliver(await runSteps(rest, childOf(current, child, index), attempt));
      index += 1;
    }
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    failures.push(failureOf(error.step, undefined, error.cause, attempt.timedOut()));
    filtered = false;
  }
  if (only !== undefined && index > 0 && !known && failures.length === 0) throw unknownSink(only);
  return { failures, filtered, confirmed: [...confirmed] };
};

async function* apart(step: StepPart, message: Message, attempt: RunningAttempt): AsyncGenerator<Message> {
  const { takeApart } = step;
  if (!takeApart) return;
  const children = takeApart(message, attempt)[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await attempt.orAbandoned(next(step, children, attempt));
      if (done) return;
      yield value;
    }
  } finally {
    // Nobody waits for parts that are on their way.
    void children.return?.().catch(() => undefined);
  }
}

const next = async (step: StepPart, children: AsyncIterator<Message>, attempt: RunningAttempt) => {
  try {
    if (attempt.timedOut()) attempt.signal.throwIfAborted();
    return await children.next();
  } catch (error) {
    throw new StepError(step.name, error);
  }
};
