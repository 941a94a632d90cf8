import { type Figures, readFigures } from './jetstream-figures.ts';
import { closingBracket, comma, endOfObject, endOfString, listIn, openingBrace, openingBracket } from './json-bytes.ts';

/*
 * Every second a server tells of all streams again: 4 MB of JSON for 12,500 of them, and most of a look would be to read it. What it says of
 * a stream stays the same to the letter while nothing moves there, so only the others are read. Answers are compared as bytes: as texts they
 * would be garbage, and to collect that cost more than all else.
 *
 * A server goes through the streams of an account in one order, and begins anywhere. So an account in which nothing moved is what it was,
 * turned, and two comparisons show it. Else, and in any other order, its streams are compared one by one.
 *
 * In a cluster, and with consumers, each answer holds times, and all of it is new.
 */
export interface LookAtChanged {
  /** What a server says of streams that have changed since the last whole look, and which have not. */
  read(answer: Buffer): { readonly figures: Figures; readonly same: readonly SameStreams[] };
  /** All was read: the next look is compared with this one. Of accounts that were not asked for, the one before counts on. */
  done(isWhole?: boolean): void;
}
export interface SameStreams {
  readonly account: string;
  /** The same list while nothing has changed in the account. */
  readonly streams: readonly string[];
}
/** Of an account, as a server said it. */
interface Said {
  /** All its streams, with commas between them. */
  readonly bytes: Buffer;
  /** Where each of them is, by its name as it is written. */
  readonly places: ReadonlyMap<string, Place>;
  readonly streams: readonly string[];
}
interface Known extends Said {
  readonly account: string;
}
interface Place {
  readonly from: number;
  readonly to: number;
}

const accounts = '"account_details":[';
const streams = Buffer.from('"stream_detail":[');
/** An object of a stream begins with its name. */
const nameFrom = '{"name":'.length;

export const changedFigures = (): (() => LookAtChanged) => {
  /** By account, as it is written. */
  let known: ReadonlyMap<string, Known> = new Map();
  return () => {
    const seen = new Map<string, Known>();
    const read: LookAtChanged['read'] = (answer) => {
      const same: SameStreams[] = [];
      const moved: { readonly key: string; readonly said: Said }[] = [];
      const parts: string[] = [];
      const from = answer.indexOf(accounts) + accounts.length;
      let at = from;
      while (from >= accounts.length && answer[at] === openingBrace) {
        const key = keyAt(answer, at);
        const before = known.get(key);
        const first = listIn(answer, at, streams);
        const { said, changed, unchanged } = compared(answer, first, before);
        const end = first + said.bytes.length;
        const next = answer[first - 1] === openingBracket ? endOfObject(answer, end, 1) : first;
        if (before) same.push({ account: before.account, streams: unchanged });
        if (changed.length > 0) {
          moved.push({ key, said });
          parts.push(`${answer.toString('utf8', at, first)}${changed.join(',')}${answer.toString('utf8', end, next)}`);
        } else if (before) seen.set(key, said === before ? before : { ...said, account: before.account });
        at = answer[next] === comma ? next + 1 : next;
      }
      const rest = `${answer.toString('utf8', 0, from)}${parts.join(',')}${answer.toString('utf8', at)}`;
      const figures = readFigures(at === from ? answer.toString() : rest);
      for (const [index, { name, id = name }] of (figures.data?.account_details ?? []).entries()) {
        const one = moved[index];
        if (one) seen.set(one.key, { ...one.said, account: id });
      }
      return { figures, same };
    };
    return { read, done: (isWhole = true) => void (known = isWhole ? seen : new Map([...known, ...seen])) };
  };
};

interface Compared {
  readonly said: Said;
  /** As they are written. */
  readonly changed: readonly string[];
  /** Their names. */
  readonly unchanged: readonly string[];
}
/** What is said of an account whose streams begin there. */
const compared = (answer: Buffer, from: number, before: Said | undefined): Compared => {
  if (before && isTurned(answer, from, before)) return { said: before, changed: [], unchanged: before.streams };
  const places = new Map<string, Place>();
  const all: string[] = [];
  const unchanged: string[] = [];
  const changed: string[] = [];
  let at = from;
  while (answer[at] === openingBrace) {
    const name = nameAt(answer, at);
    const place = before?.places.get(name);
    const isSame = before && place && isAt(answer, at, before.bytes, place.from, place.to);
    const to = isSame ? at + place.to - place.from : endOfObject(answer, at);
    const stream = String(JSON.parse(name));
    all.push(stream);
    if (isSame) unchanged.push(stream);
    else changed.push(answer.toString('utf8', at, to));
    places.set(name, { from: at - from, to: to - from });
    at = answer[to] === comma ? to + 1 : to;
  }
  // A copy: a part of the answer would keep all of it in memory.
  const bytes = Buffer.from(answer.subarray(from, at));
  return { said: { bytes, places, streams: all }, changed, unchanged };
};

/** Whether these are the same streams in the same order, whichever of them is the first. */
const isTurned = (answer: Buffer, from: number, { bytes, places }: Said): boolean => {
  const end = from + bytes.length;
  if (answer[end] !== closingBracket) return false;
  const middle = places.get(nameAt(answer, from))?.from;
  if (middle === undefined) return false;
  const rest = from + bytes.length - middle;
  if (!isAt(answer, from, bytes, middle, bytes.length)) return false;
  return middle === 0 || (answer[rest] === comma && isAt(answer, rest + 1, bytes, 0, middle - 1));
};
const isAt = (answer: Buffer, at: number, bytes: Buffer, from: number, to: number): boolean =>
  at + to - from <= answer.length && answer.compare(bytes, from, to, at, at + to - from) === 0;

const keyAt = (answer: Buffer, at: number): string => {
  const from = answer.indexOf('"id":"', at);
  return from < 0 ? '' : answer.toString('latin1', from, from + 64);
};
const nameAt = (answer: Buffer, at: number): string =>
  answer.toString('utf8', at + nameFrom, endOfString(answer, at + nameFrom) + 1);
