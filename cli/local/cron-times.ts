import type { Schedule } from '../../runtime/connector.ts';
import { cronValues } from '../../runtime/connectors/cron.ts';

/*
 * Whether a schedule is due in a second, by the clock of its time zone. On the server NATS does this (decision 010).
 */
export type IsDue = (atMs: number) => boolean;

export const dueBy = ({ cron, timeZone }: Pick<Schedule, 'cron' | 'timeZone'>): IsDue => {
  const { values, anyMonthDay, anyWeekDay } = cronValues(cron);
  const [seconds, minutes, hours, monthDays, months, weekDays] = values.map((each) => new Set(each));
  const clock = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  return (atMs) => {
    // Zones differ by whole minutes: most seconds need no look at the calendar.
    if (!seconds?.has(new Date(atMs).getUTCSeconds())) return false;
    const part: Record<string, number> = {};
    for (const { type, value } of clock.formatToParts(atMs)) part[type] = Number(value);
    const { year = 0, month = 0, day = 0, hour = 0, minute = 0 } = part;
    const inMonth = monthDays?.has(day) ?? false;
    const inWeek = weekDays?.has(new Date(Date.UTC(year, month - 1, day)).getUTCDay()) ?? false;
    // With both written, either of the two is enough.
    const onDay = anyMonthDay || anyWeekDay ? inMonth && inWeek : inMonth || inWeek;
    return onDay && (months?.has(month) ?? false) && (hours?.has(hour) ?? false) && (minutes?.has(minute) ?? false);
  };
};
