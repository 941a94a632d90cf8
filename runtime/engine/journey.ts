import type { Message } from '../message.ts';
import type { RunningAttempt } from './attempts.ts';
import { type Course, stepsOn, unknownSink } from './course.ts';
import type { Parts, SinkPart } from './parts.ts';
import { type Failure, failureOf } from './retry.ts';
import { runSteps, StepError } from './steps.ts';
import { createTurn } from './turn.ts';

export interface Arrival {
  readonly failures: readonly Failure[];
  /** No sink had to get anything. */
  readonly filtered: boolean;
  /** Keys that need not be delivered again, those of before included. */
  readonly confirmed: readonly string[];
}
interface Way {
  readonly course: Course;
  /** Keys that were delivered before. */
  readonly confirmed: readonly string[];
  /** Told what the steps made of the message. */
  readonly made?: (messages: readonly Message[]) => void;
}

/**
 * One attempt of one message: through the steps, then to every sink whose `when` holds and that has not confirmed yet. Messages that a
 * step made of one go one after the other; sinks run side by side, so that a slow one cannot eat the others' time.
 */
export const travel = (
  { steps, sinks }: Parts,
  message: Message,
  attempt: RunningAttempt,
  { course, confirmed, made }: Way,
): Promise<Arrival> => {
  const { id } = message.attrs;
  const arrive = (messages: readonly Message[]) => {
    made?.(messages);
    const [first] = messages;
    return first && messages.length === 1 && course.only === undefined
      ? deliver(sinks, first, attempt, { id, only: undefined, confirmed })
      : deliverAll(sinks, messages, attempt, { id, only: course.only, confirmed });
  };
  const refused = (error: unknown): Arrival => {
    if (!(error instanceof StepError)) throw error;
    const failure = failureOf(error.step, undefined, error.cause, attempt.timedOut());
    return { failures: [failure], filtered: false, confirmed };
  };
  let messages: ReturnType<typeof runSteps>;
  try {
    messages = runSteps(stepsOn(course, steps), message, attempt);
  } catch (error) {
    return Promise.resolve(refused(error));
  }
  return messages instanceof Promise ? messages.then(arrive, refused) : arrive(messages);
};

interface Wanted {
  /** Of the message as it was accepted. */
  readonly id: string;
  readonly only: string | undefined;
  readonly confirmed: readonly string[];
}

const deliverAll = async (
  sinks: readonly SinkPart[],
  messages: readonly Message[],
  attempt: RunningAttempt,
  wanted: Wanted,
): Promise<Arrival> => {
  const failures: Failure[] = [];
  const confirmed = new Set(wanted.confirmed);
  const turn = createTurn();
  let filtered = true;
  for (const each of messages) {
    if (turn.isOver()) await turn.next();
    const its = sinks.map(({ name }) => sinkKey(name, wanted.id, each)).filter((key) => confirmed.has(key));
    const arrival = await deliver(sinks, each, attempt, { ...wanted, confirmed: its });
    failures.push(...arrival.failures);
    for (const key of arrival.confirmed) confirmed.add(key);
    if (!arrival.filtered) filtered = false;
  }
  const { id, only } = wanted;
  const isKnown = () => messages.some((each) => sinks.some(({ name }) => sinkKey(name, id, each) === only));
  if (only !== undefined && messages.length > 0 && !isKnown()) throw unknownSink(only);
  return { failures, filtered, confirmed: [...confirmed] };
};

/** To all sinks at once; resolves when each of them has answered, or when the attempt is left behind. */
const deliver = (
  sinks: readonly SinkPart[],
  message: Message,
  attempt: RunningAttempt,
  { id, only, confirmed }: Wanted,
): Promise<Arrival> => {
  const answers = collectAnswers(attempt, confirmed);
  for (const sink of sinks) {
    const key = sinkKey(sink.name, id, message);
    if (only !== undefined && key !== only) continue;
    try {
      if (confirmed.includes(key)) answers.wanted();
      else if (sink.holds(message, attempt)) answers.add(sink.name, key, sink.send(message, attempt));
    } catch (error) {
      answers.failed(sink.name, key, error);
    }
  }
  return answers.all();
};

/** Apart from the message, which may go while its answers are waited for: most of a worker's memory are those that wait. */
const collectAnswers = (attempt: RunningAttempt, before: readonly string[]) => {
  const { promise, resolve } = Promise.withResolvers<Arrival>();
  let failures: Failure[] = none;
  let confirmed = before;
  let filtered = true;
  let [open, complete] = [0, false];
  const arrived = () => {
    if (complete && open === 0) resolve({ failures, filtered, confirmed });
  };
  const failed = (sink: string, key: string, error: unknown) => {
    filtered = false;
    failures = [...failures, failureOf(sink, key, error, attempt.timedOut())];
  };
  return {
    failed,
    wanted: () => void (filtered = false),
    add(sink: string, key: string, sending: Promise<void>) {
      let answered = false;
      const once = (act: () => void) => {
        if (answered) return;
        answered = true;
        open -= 1;
        act();
        arrived();
      };
      const refused = (error: unknown) => once(() => failed(sink, key, error));
      filtered = false;
      open += 1;
      sending.then(() => once(() => void (confirmed = [...confirmed, key])), refused);
      attempt.onAbandoned(refused);
    },
    all() {
      complete = true;
      arrived();
      return promise;
    },
  };
};
const none: Failure[] = [];

/** The sink's name; for one of several messages also what tells it apart from the others. */
const sinkKey = (sink: string, id: string, each: Message): string => {
  if (each.attrs.id === id) return sink;
  const prefix = `${id}/`;
  return `${sink}/${each.attrs.id.startsWith(prefix) ? each.attrs.id.slice(prefix.length) : `=${each.attrs.id}`}`;
};
