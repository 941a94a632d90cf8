import { compileFunction } from 'node:vm';

/* Scripts are compiled here, by operator and CLI, and never run: that is done in a thread only (threads/script.ts). */
const file = 'script';
/** On the first line, where it moves no other. */
export const scriptStart = "'use strict'; ";

/** Why it is no body of a function, with line and column; nothing when it is one. */
export const scriptProblem = (source: string): string | undefined => {
  try {
    compileFunction(`${scriptStart}${source}`, ['message'], { filename: file });
    return undefined;
  } catch (error) {
    const { message, stack = '' } = error as Error;
    return `not JavaScript: ${message}${placeIn(stack)}`;
  }
};

/** V8 says the place in the first lines of the stack: `script:3`, the line, a mark below it. */
const placeIn = (stack: string): string => {
  const [first = '', , mark = ''] = stack.split('\n');
  const line = new RegExp(`^${file}:(\\d+)$`).exec(first)?.[1];
  if (line === undefined) return '';
  const column = mark.indexOf('^') + 1 - (line === '1' ? scriptStart.length : 0);
  return `, line:${line}, col:${Math.max(column, 1)}`;
};
