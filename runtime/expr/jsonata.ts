import jsonata from 'jsonata';
import { regExpProblem } from './linear-regexp.ts';

/* JSONata is parsed here, by operator and CLI; it runs only in a thread (threads/jsonata.ts). */

/** Why it is no expression, with line and column; nothing when it is one. */
export const jsonataProblem = (source: string): string | undefined => {
  try {
    return regExpProblemIn(source, jsonata(source).ast());
  } catch (error) {
    const { message, position } = error as { readonly message: string; readonly position?: number };
    return `not a JSONata expression: ${message}${position === undefined ? '' : `, ${placeIn(source, position)}`}`;
  }
};

/** Those that cannot be used: they run without backtracking. */
const regExpProblemIn = (source: string, ast: unknown): string | undefined => {
  const nodes = [ast];
  for (let node = nodes.pop(); node !== undefined; node = nodes.pop()) {
    if (typeof node !== 'object' || node === null) continue;
    const { value, position } = node as { readonly value?: unknown; readonly position?: number };
    const problem = value instanceof RegExp ? regExpProblem(value.source) : undefined;
    if (problem !== undefined) return `${problem}, ${placeIn(source, position ?? 0)}`;
    nodes.push(...Object.values(node).filter((each) => each !== undefined));
  }
  return undefined;
};

const placeIn = (source: string, position: number): string => {
  const lines = source.slice(0, position).split('\n');
  return `line:${lines.length}, col:${Math.max((lines.at(-1) as string).length, 1)}`;
};
