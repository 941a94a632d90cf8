import { reject } from '../errors.ts';

/* Names of files: which ones a source takes, and which ones a sink may give. */

/** `*` any characters, `?` one. In time of both lengths multiplied: a pattern is a user's. */
export const matches = (pattern: string, name: string): boolean => {
  let at = 0;
  let next = 0;
  let star = -1;
  let resume = 0;
  while (next < name.length) {
    if (pattern[at] === '*') {
      star = at;
      resume = next;
      at += 1;
    } else if (at < pattern.length && (pattern[at] === '?' || pattern[at] === name[next])) {
      at += 1;
      next += 1;
    } else if (star >= 0) {
      // The last star takes one character more.
      at = star + 1;
      resume += 1;
      next = resume;
    } else return false;
  }
  while (pattern[at] === '*') at += 1;
  return at === pattern.length;
};

/** A path below a folder: its parts begin with a letter or a digit, so none is hidden and none a way up. */
export const folderForm = /^[\p{L}0-9_~][^/\\\p{Cc}]*(\/[\p{L}0-9_~][^/\\\p{Cc}]*)*$/u;

const longestPath = 1_000;
/** In bytes; file systems take 255, and something may have to be added. */
export const longestSegment = 200;
const mostSegments = 16;

/** Throws `reject('FileNameRefused')` for what is no plain path below a folder: names often come from a message, and those from anywhere. */
export const checkedPath = (value: unknown): string => {
  const problem = problemOf(value);
  if (problem === undefined) return value as string;
  const shown = typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : value === null ? 'null' : typeof value;
  throw reject('FileNameRefused', `file.name gave ${shown}: ${problem}; make another name of the message`);
};

const problemOf = (value: unknown): string | undefined => {
  if (typeof value !== 'string' || value === '') return 'a name is text, and not empty';
  if (value.length > longestPath) return `a path has at most ${longestPath} characters`;
  if (!value.isWellFormed()) return 'a name is well-formed Unicode';
  const segments = value.split('/');
  if (segments.length > mostSegments) return `a path has at most ${mostSegments} parts`;
  for (const segment of segments) {
    if (segment === '') return 'no part of a path is empty';
    if (segment.startsWith('.')) return 'no part of a path begins with a dot';
    if (/[\\\p{Cc}]/u.test(segment)) return 'a name has neither backslashes nor control characters';
    if (Buffer.byteLength(segment) > longestSegment) return `a name has at most ${longestSegment} bytes`;
  }
  return undefined;
};
