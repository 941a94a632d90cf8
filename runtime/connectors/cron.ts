/*
 * Cron as the NATS server reads it (robfig/cron without its `@` words): five fields, or six with the second first. What it would refuse is
 * said here, field by field.
 */
interface Field {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly names: readonly string[];
}
const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const fields: readonly Field[] = [
  { name: 'second', min: 0, max: 59, names: [] },
  { name: 'minute', min: 0, max: 59, names: [] },
  { name: 'hour', min: 0, max: 23, names: [] },
  { name: 'day of month', min: 1, max: 31, names: [] },
  { name: 'month', min: 1, max: 12, names: months },
  { name: 'day of week', min: 0, max: 6, names: days },
];

export const cronForm = '^[0-9A-Za-z*?,/-]+( [0-9A-Za-z*?,/-]+){4,5}$';
export const cronFormText =
  'write 5 fields with single blanks (minute, hour, day of month, month, day of week), or 6 with the second first, such as */5 * * * *';

/** With the second, which is 0 where none is written. */
export const sixFields = (cron: string): string => (cron.split(' ').length === 5 ? `0 ${cron}` : cron);

/** Why a text of the right form is no schedule. */
export const cronProblem = (cron: string): string | undefined => {
  const parts = sixFields(cron).split(' ');
  const chosen = fieldsOf(parts);
  if (typeof chosen === 'string') return chosen;
  const [, , , monthDays = [], inMonths = []] = chosen;
  // With a day of the week beside it, either of the two is enough.
  if (anyDay(parts[5]) && !inMonths.some((month) => Math.min(...monthDays) <= daysIn(month))) {
    return `never comes: no month that is chosen has a day ${Math.min(...monthDays)}`;
  }
  return undefined;
};

/** What each of the six fields of a checked text chooses, and whether it leaves the day open. */
export const cronValues = (
  cron: string,
): { values: readonly (readonly number[])[]; anyMonthDay: boolean; anyWeekDay: boolean } => {
  const parts = sixFields(cron).split(' ');
  const values = fieldsOf(parts);
  if (typeof values === 'string') throw new Error(`"${cron}" is no schedule: ${values}`);
  return { values, anyMonthDay: anyDay(parts[3]), anyWeekDay: anyDay(parts[5]) };
};

const anyDay = (part: string | undefined) => /^[*?](\/1)?$/.test(part ?? '');

const fieldsOf = (parts: readonly string[]): (readonly number[])[] | string => {
  const chosen: (readonly number[])[] = [];
  for (const [index, field] of fields.entries()) {
    const values = valuesOf(parts[index] ?? '', field);
    if (typeof values === 'string') return `${field.name} ${JSON.stringify(parts[index])}: ${values}`;
    chosen.push(values);
  }
  return chosen;
};

const daysIn = (month: number): number => (month === 2 ? 29 : [4, 6, 9, 11].includes(month) ? 30 : 31);

const valuesOf = (text: string, field: Field): number[] | string => {
  const chosen: number[] = [];
  for (const range of text.split(',')) {
    const values = rangeOf(range, field);
    if (typeof values === 'string') return values;
    chosen.push(...values);
  }
  return chosen;
};

const rangeOf = (text: string, field: Field): number[] | string => {
  const { min, max, names } = field;
  const [, from = '', to, step] = /^([^-/]+)(?:-([^-/]+))?(?:\/([0-9]+))?$/.exec(text) ?? [];
  const isAny = from === '*' || from === '?';
  const start = isAny ? min : numberOf(from, field);
  const isOpen = isAny || (to === undefined && step !== undefined);
  const end = isOpen ? max : to === undefined ? start : numberOf(to, field);
  const by = step === undefined ? 1 : Number(step);
  const known = `${min} to ${max}${names.length > 0 ? ` or ${names[0]} to ${names.at(-1)}` : ''}`;
  if (start === undefined || end === undefined || (isAny && to !== undefined)) {
    return `write *, a value (${known}), a range such as ${min}-${max}, or steps such as */2`;
  }
  if (start > end) return `the range ends before it begins`;
  if (by < 1 || by > max) return `a step is a number from 1 to ${max}`;
  return Array.from({ length: Math.floor((end - start) / by) + 1 }, (_, index) => start + index * by);
};

const numberOf = (text: string, { min, max, names }: Field): number | undefined => {
  const named = names.indexOf(text.toLowerCase());
  if (named >= 0) return named + min;
  if (!/^[0-9]{1,2}$/.test(text)) return undefined;
  const value = Number(text);
  return value >= min && value <= max ? value : undefined;
};
