import jsonata from 'jsonata';

/* JSONata is parsed here, by operator and CLI; it runs only in a thread (threads/jsonata.ts). */

/** Why it is no expression, with line and column; nothing when it is one. */
export const jsonataProblem = (source: string): string | undefined => {
  try {
    jsonata(source);
    return undefined;
  } catch (error) {
    const { message, position } = error as { readonly message: string; readonly position?: number };
    return `not a JSONata expression: ${message}${position === undefined ? '' : `, ${placeIn(source, position)}`}`;
  }
};

const placeIn = (source: string, position: number): string => {
  const lines = source.slice(0, position).split('\n');
  return `line:${lines.length}, col:${Math.max((lines.at(-1) as string).length, 1)}`;
};
