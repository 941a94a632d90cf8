import type { Message } from '../message.ts';
import type { RunningAttempt } from './attempts.ts';
import { type Course, stepsOn, unknownSink } from './course.ts';
import type { Parts, SinkPart } from './parts.ts';
import type { Passed } from './record.ts';
import { type Failure, failureOf } from './retry.ts';
import { runSteps, StepError } from './steps.ts';
import { createTurn } from './turn.ts';

export interface Arrival {
  readonly failures: readonly Failure[];
  /** No sink had to get anything. */
  readonly filtered: boolean;
  /** Keys that need not be delivered again, those of before included. */
  readonly confirmed: readonly string[];
  /** Set where messages are left that were not tried: they are, when the failures are settled. */
  readonly passed?: Passed | undefined;
}
export interface Way {
  readonly course: Course;
  /** Keys that were delivered before. */
  readonly confirmed: readonly string[];
  /** Told what the steps made of the message. */
  readonly made?: (messages: readonly Message[]) => void;
  /** Of a body that is taken apart: where to go on. */
  readonly passed?: Passed | undefined;
  /** It has left a dead letter. */
  readonly buried?: boolean | undefined;
  /** Told when a portion of such a body is settled. */
  readonly pass?: (passed: Passed) => Promise<void>;
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

export const deliverAll = async (
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
  const answers = new Answers(attempt, confirmed);
  for (const sink of sinks) {
    const key = sinkKey(sink.name, id, message);
    if (only !== undefined && key !== only) continue;
    try {
      if (confirmed.includes(key)) answers.wanted();
      else if (sink.holds(message, attempt)) answers.add({ sink: sink.name, key }, sink.send(message, attempt));
    } catch (error) {
      answers.failed({ sink: sink.name, key }, error);
    }
  }
  return answers.all();
};

interface Asked {
  readonly sink: string;
  readonly key: string;
}

/** Apart from the message, which may go while its answers are waited for: most of a worker's memory are those that wait. */
class Answers {
  readonly #attempt: RunningAttempt;
  readonly #arrival: Promise<Arrival>;
  #resolve!: (arrival: Arrival) => void;
  #failures: readonly Failure[] = none;
  #confirmed: readonly string[];
  #filtered = true;
  #complete = false;
  /** Not answered yet. */
  #open: readonly Asked[] = nobody;

  constructor(attempt: RunningAttempt, confirmed: readonly string[]) {
    this.#attempt = attempt;
    this.#confirmed = confirmed;
    this.#arrival = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  wanted(): void {
    this.#filtered = false;
  }

  add(asked: Asked, sending: Promise<void>): void {
    this.#filtered = false;
    this.#open = [...this.#open, asked];
    sending.then(
      () => this.#answered(asked, () => void (this.#confirmed = [...this.#confirmed, asked.key])),
      (error: unknown) => this.#answered(asked, () => this.failed(asked, error)),
    );
  }

  failed({ sink, key }: Asked, error: unknown): void {
    this.#filtered = false;
    this.#failures = [...this.#failures, failureOf(sink, key, error, this.#attempt.timedOut())];
  }

  /** Nobody else is asked: settles when all have answered, or when the attempt is left behind. */
  all(): Promise<Arrival> {
    this.#complete = true;
    this.#settle();
    if (this.#open.length > 0) {
      this.#attempt.onAbandoned((reason) => {
        for (const asked of this.#open) this.#answered(asked, () => this.failed(asked, reason));
      });
    }
    return this.#arrival;
  }

  /** Whoever was left behind may answer later, which counts no more. */
  #answered(asked: Asked, note: () => void): void {
    if (!this.#open.includes(asked)) return;
    this.#open = this.#open.length === 1 ? nobody : this.#open.filter((each) => each !== asked);
    note();
    this.#settle();
  }

  #settle(): void {
    if (!this.#complete || this.#open.length > 0) return;
    this.#resolve({ failures: this.#failures, filtered: this.#filtered, confirmed: this.#confirmed });
  }
}
const nobody: readonly Asked[] = [];
const none: readonly Failure[] = [];

/** The sink's name; for one of several messages also what tells it apart from the others. */
export const sinkKey = (sink: string, id: string, each: Message): string => {
  if (each.attrs.id === id) return sink;
  const prefix = `${id}/`;
  return `${sink}/${each.attrs.id.startsWith(prefix) ? each.attrs.id.slice(prefix.length) : `=${each.attrs.id}`}`;
};
