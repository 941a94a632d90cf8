import { Optional } from '@marcbachmann/cel-js';

/**
 * The JSON value of what CEL computed: ints become numbers, timestamps RFC 3339, durations `90s`, bytes base64. An absent optional is
 * `undefined` (left out of objects and lists). Parts that are plain already are shared, not copied.
 */
export const plainJson = (value: unknown): unknown => {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'undefined':
      return value;
    case 'number':
      return finite(value);
    case 'bigint':
      return safeInteger(value);
    case 'object':
      return value === null ? null : plainObject(value);
    default:
      throw new Error(`the result is a ${typeof value}, which JSON cannot hold`);
  }
};

const plainObject = (value: object): unknown => {
  if (Array.isArray(value)) return plainList(value);
  // A body may have a field of the name `constructor`.
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return plainRecord(value);
  if (value instanceof Map) return plainRecord(Object.fromEntries(value));
  if (value instanceof Set) return plainList([...value]);
  if (value instanceof Optional) return value.hasValue() ? plainJson(value.value()) : undefined;
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  // The library keeps the classes of uint and duration to itself.
  const primitive: unknown = value.valueOf();
  if (typeof primitive === 'bigint') return safeInteger(primitive);
  if ('seconds' in value && 'nanos' in value) return `${Number(value.seconds) + Number(value.nanos) / 1e9}s`;
  throw new Error(`the result is a ${value.constructor.name}, which JSON cannot hold`);
};

const plainList = (list: readonly unknown[]): readonly unknown[] => {
  if (list.every((item) => item !== undefined && plainJson(item) === item)) return list;
  return list.map(plainJson).filter((item) => item !== undefined);
};

const plainRecord = (record: object): object => {
  if (isPlain(record as Readonly<Record<string, unknown>>)) return record;
  const entries = Object.entries(record).map(([key, item]) => [key, plainJson(item)] as const);
  return Object.fromEntries(entries.filter(([, item]) => item !== undefined));
};
const isPlain = (record: Readonly<Record<string, unknown>>): boolean => {
  for (const key in record) {
    const item = record[key];
    if (item === undefined || plainJson(item) !== item) return false;
  }
  return true;
};

const finite = (value: number): number => {
  if (Number.isFinite(value)) return value;
  throw new Error(`the result is ${value}, which JSON cannot hold (a division by zero?)`);
};

const safeInteger = (value: bigint): number => {
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  throw new Error(`the result ${value} is too large for a JSON number; make it a string with string(...)`);
};
