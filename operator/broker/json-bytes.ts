/*
 * Where things begin and end in JSON that is not read: an answer of a server is compared as it came, and most of it is never needed as text.
 */
const quote = 34;
export const comma = 44;
export const openingBracket = 91;
export const closingBracket = 93;
export const openingBrace = 123;
const backslash = 92;
const closingBrace = 125;

/** Behind the object that begins there, or, with a depth, in which one is. */
export const endOfObject = (json: Buffer, from: number, inside = 0): number => {
  let depth = inside;
  for (let at = from; at < json.length; at += 1) {
    const character = json[at];
    if (character === quote) at = endOfString(json, at);
    else if (character === openingBrace) depth += 1;
    else if (character === closingBrace) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  throw endsEarly(json);
};

/**
 * Behind the bracket of the list that the object which begins there has by this name, which has its quotes and the bracket; behind the
 * object when it has none.
 */
export const listIn = (json: Buffer, from: number, name: Buffer): number => {
  for (let at = from, depth = 0; at < json.length; at += 1) {
    const character = json[at];
    if (character === quote) {
      if (depth === 1 && json.compare(name, 0, name.length, at, Math.min(at + name.length, json.length)) === 0)
        return at + name.length;
      at = endOfString(json, at);
    } else if (character === openingBrace) depth += 1;
    else if (character === closingBrace) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  throw endsEarly(json);
};

/** The quote that ends the string which begins there. */
export const endOfString = (json: Buffer, from: number): number => {
  for (let at = from + 1; at < json.length; at += 1) {
    const character = json[at];
    if (character === quote) return at;
    if (character === backslash) at += 1;
  }
  return json.length;
};

const endsEarly = (json: Buffer) => new Error(`an answer of ${json.length} bytes ends within an account`);
