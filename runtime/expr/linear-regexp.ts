import { RE2JS } from 're2js';

/*
 * Regular expressions that users write, on an engine without backtracking: a text of any length takes time in proportion to it. What such
 * an engine cannot do (look-around, back-references) is an error.
 */
export interface LinearRegExp {
  test(text: string): boolean;
  /** The source: what tells one from another. */
  toString(): string;
}

export const longestRegExp = 1_000;

/** Throws when it is not a regular expression of this engine. */
export const linearRegExp = (source: string): LinearRegExp => {
  const compiled = RE2JS.compile(RE2JS.translateRegExp(source));
  return { test: (text) => compiled.test(text), toString: () => source };
};

/** What is wrong with it, or `undefined`. */
export const regExpProblem = (source: string): string | undefined => {
  if (source.length > longestRegExp) {
    return `a regular expression has at most ${longestRegExp} characters, this one has ${source.length}`;
  }
  try {
    linearRegExp(source);
    return undefined;
  } catch (error) {
    return `not a regular expression that can be used (look-around and back-references cannot): ${(error as Error).message}`;
  }
};
