import { type Figures, readFigures } from './jetstream-figures.ts';

/*
 * Every second a server tells of all streams again: 4 MB of JSON for 12,500 of them, and most of a look would be to read it. What it says of
 * a stream stays the same to the letter while nothing moves there, so only the others are read (streams of an account come in any order).
 * In a cluster, and with consumers, each answer holds times, and all of it is new.
 */
export interface LookAtChanged {
  /** What a server says of streams that have changed since the last whole look, and which have not. */
  read(text: string): { readonly figures: Figures; readonly same: readonly StreamName[] };
  /** All pages were read: the next look is compared with this one. */
  done(): void;
}
interface StreamName {
  readonly account: string;
  readonly stream: string;
}
interface Said extends StreamName {
  readonly text: string;
  /** The last look that showed it. */
  look: number;
}

const accounts = '"account_details":[';
const streams = '"stream_detail":[';
const quote = 34;
const backslash = 92;
const openingBrace = 123;
const closingBrace = 125;
const openingBracket = 91;
const comma = 44;

export const changedFigures = (): (() => LookAtChanged) => {
  /** By account and stream, as they are written. */
  const known = new Map<string, Map<string, Said>>();
  let looks = 0;
  return () => {
    looks += 1;
    const look = looks;
    const news: { readonly account: string; readonly stream: string; readonly said: Said }[] = [];
    const read: LookAtChanged['read'] = (text) => {
      const same: Said[] = [];
      const changed: { readonly key: string; readonly streams: readonly { key: string; text: string }[] }[] = [];
      const parts: string[] = [];
      const from = text.indexOf(accounts) + accounts.length;
      let at = from;
      while (from >= accounts.length && text.charCodeAt(at) === openingBrace) {
        const key = keyAt(text, at);
        const ofAccount = known.get(key);
        const first = firstStream(text, at);
        const others: { key: string; text: string }[] = [];
        let end = first;
        while (text.charCodeAt(end) === openingBrace) {
          const name = nameAt(text, end);
          const before = ofAccount?.get(name);
          const begin = end;
          if (before && text.startsWith(before.text, begin)) {
            before.look = look;
            same.push(before);
            end = begin + before.text.length;
          } else {
            end = endOfObject(text, begin);
            others.push({ key: name, text: text.slice(begin, end) });
          }
          if (text.charCodeAt(end) === comma) end += 1;
        }
        const begin = at;
        at = text.charCodeAt(first - 1) === openingBracket ? endOfObject(text, end, 1) : first;
        if (others.length > 0) {
          changed.push({ key, streams: others });
          parts.push(text.slice(begin, first) + others.map((one) => one.text).join(',') + text.slice(end, at));
        }
        if (text.charCodeAt(at) === comma) at += 1;
      }
      const figures = readFigures(at === from ? text : text.slice(0, from) + parts.join(',') + text.slice(at));
      for (const [index, { name, id = name, stream_detail }] of (figures.data?.account_details ?? []).entries())
        for (const [place, { name: stream }] of (stream_detail ?? []).entries()) {
          const one = changed[index]?.streams[place];
          // A copy: a part of the answer would keep all of it in memory.
          if (changed[index] && one) {
            const said = { account: id, stream, text: Buffer.from(one.text).toString(), look };
            news.push({ account: changed[index].key, stream: one.key, said });
          }
        }
      return { figures, same };
    };
    const done = () => {
      for (const { account, stream, said } of news) {
        const ofAccount = known.get(account);
        if (ofAccount) ofAccount.set(stream, said);
        else known.set(account, new Map([[stream, said]]));
      }
      for (const [account, ofAccount] of known) {
        for (const [stream, said] of ofAccount) if (said.look !== look) ofAccount.delete(stream);
        if (ofAccount.size === 0) known.delete(account);
      }
    };
    return { read, done };
  };
};

const keyAt = (text: string, at: number): string => {
  const from = text.indexOf('"id":"', at);
  return from < 0 ? '' : text.slice(from, from + 64);
};
/** An object of a stream begins with its name. */
const nameAt = (text: string, at: number): string => text.slice(at, endOfString(text, at + '{"name":'.length));

/** Behind the bracket before the first stream of the account that begins there, or behind the account when it has none. */
const firstStream = (text: string, from: number): number => {
  for (let at = from, depth = 0; at < text.length; at += 1) {
    const character = text.charCodeAt(at);
    if (character === quote) {
      if (depth === 1 && text.startsWith(streams, at)) return at + streams.length;
      at = endOfString(text, at);
    } else if (character === openingBrace) depth += 1;
    else if (character === closingBrace) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  throw endsEarly(text);
};

/** Behind the object that begins there, or, with a depth, in which one is. */
const endOfObject = (text: string, from: number, inside = 0): number => {
  let depth = inside;
  for (let at = from; at < text.length; at += 1) {
    const character = text.charCodeAt(at);
    if (character === quote) at = endOfString(text, at);
    else if (character === openingBrace) depth += 1;
    else if (character === closingBrace) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  throw endsEarly(text);
};
const endsEarly = (text: string) => new Error(`an answer of ${text.length} characters ends within an account`);
/** The quote that ends the string. */
const endOfString = (text: string, from: number): number => {
  for (let at = text.indexOf('"', from + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let first = at;
    while (text.charCodeAt(first - 1) === backslash) first -= 1;
    if ((at - first) % 2 === 0) return at;
  }
  return text.length;
};
