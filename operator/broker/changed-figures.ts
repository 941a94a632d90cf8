import { type Figures, readFigures } from './jetstream-figures.ts';

/*
 * Every second a server tells of all streams again: 4 MB of JSON for 12,500 of them, and most of a look would be to read it. What it says of
 * an account stays the same to the letter while nothing moves there, so only the others are read. In a cluster, and with consumers, each
 * answer holds times, and all of it is new.
 */
export interface LookAtChanged {
  /** What a server says of accounts that have changed since the last whole look, and which have not. */
  read(text: string): { readonly figures: Figures; readonly same: readonly string[] };
  /** All pages were read: the next look is compared with this one. */
  done(): void;
}
interface Said {
  readonly id: string;
  readonly text: string;
}

const opening = '"account_details":[';
const quote = 34;
const backslash = 92;
const openingBrace = 123;
const closingBrace = 125;

export const changedFigures = (): (() => LookAtChanged) => {
  let before = new Map<string, Said>();
  return () => {
    // Texts are parts of whole answers, so those of unchanged accounts are taken anew, too: else each would keep an old answer in memory.
    const now = new Map<string, Said>();
    const read: LookAtChanged['read'] = (text) => {
      const from = text.indexOf(opening) + opening.length;
      const same: string[] = [];
      const changed: { readonly key: string; readonly text: string }[] = [];
      let at = from;
      while (from >= opening.length && text.charCodeAt(at) === openingBrace) {
        const key = keyAt(text, at);
        const known = before.get(key);
        const isSame = known !== undefined && text.startsWith(known.text, at);
        const end = isSame ? at + known.text.length : endOfObject(text, at);
        const said = text.slice(at, end);
        if (isSame) {
          same.push(known.id);
          now.set(key, { id: known.id, text: said });
        } else changed.push({ key, text: said });
        at = text[end] === ',' ? end + 1 : end;
      }
      if (same.length === 0 && changed.length === 0) return { figures: readFigures(text), same };
      const reduced = text.slice(0, from) + changed.map((account) => account.text).join(',') + text.slice(at);
      const figures = readFigures(reduced);
      for (const [index, { name, id = name }] of (figures.data?.account_details ?? []).entries()) {
        const account = changed[index];
        if (account) now.set(account.key, { id, text: account.text });
      }
      return { figures, same };
    };
    return { read, done: () => void (before = now) };
  };
};

/** Tells accounts apart; whether what is said of one is the same is seen from all of it. */
const keyAt = (text: string, at: number): string => {
  const from = text.indexOf('"id":"', at);
  return from < 0 ? '' : text.slice(from, from + 64);
};

/** Behind the object that begins there. */
const endOfObject = (text: string, from: number): number => {
  let depth = 0;
  for (let at = from; at < text.length; at += 1) {
    const character = text.charCodeAt(at);
    if (character === quote) at = endOfString(text, at);
    else if (character === openingBrace) depth += 1;
    else if (character === closingBrace) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  throw new Error(`an answer of ${text.length} characters ends within an account`);
};
/** The quote that ends the string. */
const endOfString = (text: string, from: number): number => {
  for (let at = text.indexOf('"', from + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let first = at;
    while (text.charCodeAt(first - 1) === backslash) first -= 1;
    if ((at - first) % 2 === 0) return at;
  }
  return text.length;
};
