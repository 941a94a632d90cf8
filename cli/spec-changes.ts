import { isDeepStrictEqual } from 'node:util';
import { type Path, pathText } from '../operator/api/schema-walk.ts';

/** One field that is not as it was; absent is `undefined`. */
export interface FieldChange {
  readonly path: string;
  readonly before?: unknown;
  readonly after?: unknown;
}

/** Fields that differ, as deep as both sides have the same form; lists of one length are compared item by item. */
export const specChanges = (before: unknown, after: unknown, path: Path = ['spec']): FieldChange[] => {
  if (isDeepStrictEqual(before, after)) return [];
  if (isRecord(before) && isRecord(after))
    return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key) =>
      specChanges(before[key], after[key], [...path, key]),
    );
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length)
    return before.flatMap((item, index) => specChanges(item, after[index], [...path, index]));
  return [
    {
      path: pathText(path),
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
    },
  ];
};

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
