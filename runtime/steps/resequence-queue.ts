import type { Message } from '../message.ts';
import { type StoredMessage, storedMessage } from './stored-message.ts';

/*
 * What is kept of one key, as a value and changes of it: messages that wait for those before them, and messages whose turn has come, on their
 * way into the inbox. `turn` rises whenever there is nothing of either kind; it begins with the time, so that it rises although a queue
 * was forgotten.
 */
export interface Queue {
  readonly turn: number;
  /** The number whose turn it is; absent while nobody knows. */
  readonly next?: number | undefined;
  /** By number. */
  readonly waiting: readonly Entry[];
  /** In order. */
  readonly ready: readonly Entry[];
  /** Those whose turn has come, the last ones: to know who comes again. */
  readonly passed: readonly string[];
}
export interface Entry {
  readonly id: string;
  readonly number: number;
  /** When it began to wait. */
  readonly since: number;
  /** That it takes as JSON. */
  readonly bytes: number;
  /** The number that it waited for in vain. */
  readonly gap?: number | undefined;
  readonly message: StoredMessage;
}
export interface Rules {
  readonly first: number | undefined;
  readonly timeoutMs: number;
  /** What becomes of messages that have waited long enough. */
  readonly onGap: 'Continue' | 'Reject';
  /** For so long a key is known that rests. */
  readonly keepMs: number;
}
interface Now {
  readonly now: number;
  readonly room: number;
}
/** `taken`: it is in the queue, or was. `full`: it is not; who is ready has to go first. */
export interface Taken {
  readonly kind: 'taken' | 'full' | 'late' | 'twice';
  readonly queue: Queue;
}
interface Change<T> {
  readonly result: T;
  readonly next?: { readonly value: Queue; readonly forMs?: number };
}

/** So many may wait; the value is written again with each of them. */
const mostWaiting = 1_000;
const mostPassed = 500;

export const take = (found: Queue | undefined, entry: Entry, { now, room, ...rules }: Rules & Now): Change<Taken> => {
  const queue = found ?? fresh(rules, now);
  const { next, waiting, ready, passed } = queue;
  const isEntry = ({ id }: Entry) => id === entry.id;
  if (waiting.some(isEntry) || ready.some(isEntry) || passed.includes(entry.id))
    return { result: { kind: 'taken', queue } };
  if (next !== undefined && entry.number < next) return { result: { kind: 'late', queue } };
  if (waiting.some(({ number }) => number === entry.number)) return { result: { kind: 'twice', queue } };
  if (!fits(queue, entry, room)) {
    const [lowest] = waiting;
    if (!lowest || rules.onGap === 'Reject' || isLowest(queue, entry)) return { result: { kind: 'full', queue } };
    const value = passing(queue, lowest.number);
    return { result: { kind: 'full', queue: value }, next: { value } };
  }
  const value = passing({ ...queue, waiting: [...waiting, entry].sort((a, b) => a.number - b.number) });
  return { result: { kind: 'taken', queue: value }, next: { value } };
};

/** What is to be done when it is looked at without a message. Nobody waits longer than the time that it has. */
export const look = (found: Queue | undefined, now: number, rules: Rules): Change<Queue> => {
  const queue = found ?? fresh(rules, now);
  const overdue = queue.waiting.filter(({ since }) => since + rules.timeoutMs <= now);
  const [lowest, last] = [overdue[0], overdue.at(-1)];
  if (!lowest || !last) return { result: queue };
  if (rules.onGap === 'Continue') return changed(passing(queue, last.number));
  return changed(queue.next === undefined ? passing(queue, lowest.number) : refusing(queue, queue.next, overdue));
};

/** Those of these ids are in the inbox. What is only remembered is forgotten after a while. */
export const sent = (
  found: Queue | undefined,
  ids: readonly string[],
  rules: Rules & Pick<Now, 'now'>,
): Change<Queue> => {
  const queue = found ?? fresh(rules, rules.now);
  const ready = queue.ready.filter(({ id }) => !ids.includes(id));
  if (ready.length === queue.ready.length) return { result: queue };
  if (ready.length > 0 || queue.waiting.length > 0) return changed({ ...queue, ready });
  const value = { ...queue, ready, turn: queue.turn + 1 };
  return { result: value, next: { value, forMs: rules.keepMs } };
};

/** When somebody has waited long enough. */
export const dueOf = ({ waiting }: Queue, { timeoutMs }: Rules): number | undefined =>
  waiting.length === 0 ? undefined : Math.min(...waiting.map(({ since }) => since)) + timeoutMs;

export const weigh = ({ waiting, ready, passed }: Queue): number =>
  [...waiting, ...ready].reduce((sum, { bytes }) => sum + bytes, passed.length * 20 + 100);

const fresh = ({ first }: Pick<Rules, 'first'>, now: number): Queue => ({
  turn: now,
  next: first,
  waiting: [],
  ready: [],
  passed: [],
});
const changed = (value: Queue): Change<Queue> => ({ result: value, next: { value } });

const isLowest = ({ waiting: [lowest] }: Queue, { number }: Entry): boolean => !lowest || number < lowest.number;

/** Whom the others wait for has half of the room to itself. */
const fits = (queue: Queue, entry: Entry, room: number): boolean => {
  const total = [...queue.waiting, ...queue.ready].reduce((sum, { bytes }) => sum + bytes, entry.bytes);
  return isLowest(queue, entry) ? total <= room : total <= room / 2 && queue.waiting.length < mostWaiting;
};

/** Whoever waits up to this number need not wait any more; nor those that follow without a gap. */
const passing = (queue: Queue, upTo = Number.NEGATIVE_INFINITY): Queue => {
  let { next } = queue;
  let count = 0;
  for (const { number } of queue.waiting) {
    if (number > upTo && number !== next) break;
    next = number + 1;
    count += 1;
  }
  return made({ ...queue, next }, queue.waiting.slice(0, count), queue.waiting.slice(count));
};

const refusing = (queue: Queue, gap: number, overdue: readonly Entry[]): Queue =>
  made(
    queue,
    overdue.map((entry) => ({ ...entry, gap })),
    queue.waiting.filter((entry) => !overdue.includes(entry)),
  );

const made = (queue: Queue, gone: readonly Entry[], waiting: readonly Entry[]): Queue => ({
  ...queue,
  waiting,
  ready: [...queue.ready, ...gone],
  passed: [...queue.passed, ...gone.map(({ id }) => id)].slice(-mostPassed),
});

export const entryOf = (id: string, number: number, since: number, from: Message): Entry => {
  const message = storedMessage(from);
  const frame = { id, number, since, gap: number, bytes: 1_000_000, message };
  return { id, number, since, bytes: Buffer.byteLength(JSON.stringify(frame)), message };
};
