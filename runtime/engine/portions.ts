import type { Message } from '../message.ts';
import type { RunningAttempt } from './attempts.ts';
import { stepsOn, unknownSink } from './course.ts';
import { type Arrival, deliverAll, sinkKey, travel, type Way } from './journey.ts';
import type { Parts, StepPart } from './parts.ts';
import { createPortionAttempt } from './portion.ts';
import type { Passed } from './record.ts';
import { type Failure, failureOf } from './retry.ts';
import { childOf, runSteps, StepError } from './steps.ts';
import { createTurn } from './turn.ts';

/** Messages, and keys of sinks that have them, of a portion: so much is remembered at once, and fails while a sink is down. */
const mostInPortion = 1_000;

/**
 * The way of a message with a large body: where a step takes it apart before any other needs the whole, each of its messages goes all the
 * way to the sinks before the next one is made. Portions of them are settled one after the other: an attempt goes on behind a sink that
 * fails to the end of the portion. A step that refuses one of them ends the attempt there; those before it are delivered.
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

  const { only } = way.course;
  const { id } = message.attrs;
  const portion = createPortion(splitting.identity ?? splitting.name, way);
  const within = createPortionAttempt(attempt);
  const keysOf = (messages: readonly Message[]) =>
    messages.flatMap((each) => parts.sinks.map(({ name }) => sinkKey(name, id, each)));
  let known = false;
  const deliver = async (made: readonly Message[]) => {
    const meant = only === undefined ? made : made.filter((each) => keysOf([each]).includes(only));
    if (meant.length === 0) return;
    known = true;
    const keys = keysOf(meant);
    portion.add(keys, await deliverAll(parts.sinks, meant, within, { id, only, confirmed: portion.confirmedOf(keys) }));
  };
  try {
    const [current] = await runSteps(steps.slice(0, at), message, attempt);
    if (!current) return portion.arrival();
    const rest = steps.slice(at + 1);
    const turn = createTurn();
    for await (const child of apart(splitting, current, within)) {
      if (turn.isOver()) await turn.next();
      if (portion.isFull()) {
        if (portion.hasFailed()) return portion.arrival({ isLeft: true });
        await within.passed(way.buried ? 'withdrawn' : 'delivered');
        await way.pass?.(portion.pass());
      }
      const index = portion.next();
      if (index !== undefined) await deliver(await runSteps(rest, childOf(current, child, index), within));
    }
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    return portion.arrival({ failure: failureOf(error.step, undefined, error.cause, attempt.timedOut()) });
  }
  const arrival = portion.arrival();
  if (only !== undefined && !portion.isEmpty() && !known && arrival.failures.length === 0) throw unknownSink(only);
  return arrival;
};

/** What is known of the messages that are tried now, and how many came before them. */
const createPortion = (by: string, { course, confirmed: before, passed }: Way) => {
  const isSame = passed === undefined || passed.by === by;
  const first = (isSame && passed?.messages) || 0;
  let confirmed = new Set(isSame ? before : []);
  let failures: Failure[] = [];
  let [filtered, index, tried, keys] = [true, 0, 0, 0];
  const here = () => ({ by, messages: index });
  return {
    /** The number of the message that comes; nothing for one that is settled. */
    next(): number | undefined {
      index += 1;
      if (index <= first) return undefined;
      tried += 1;
      return index - 1;
    },
    isEmpty: () => index === 0,
    // A replay for one sink has one key.
    isFull: () => course.only === undefined && Math.max(tried, keys) >= mostInPortion,
    hasFailed: () => failures.length > 0,
    confirmedOf: (some: readonly string[]) => some.filter((key) => confirmed.has(key)),
    add(some: readonly string[], arrival: Arrival) {
      keys += some.length;
      failures.push(...arrival.failures);
      for (const key of arrival.confirmed) confirmed.add(key);
      if (!arrival.filtered) filtered = false;
    },
    /** All of it is settled: the next one begins. */
    pass(): Passed {
      confirmed = new Set();
      [tried, keys] = [0, 0];
      return here();
    },
    arrival({ isLeft = false, failure }: { isLeft?: boolean; failure?: Failure } = {}): Arrival {
      if (failure) failures = [...failures, failure];
      const passedOn = isLeft ? { passed: here() } : {};
      return { failures, filtered: filtered && failures.length === 0, confirmed: [...confirmed], ...passedOn };
    },
  };
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
