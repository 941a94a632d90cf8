import { describe, expect, it } from 'vitest';
import { dueBy } from '../../../cli/local/cron-times.ts';

/* Seconds in which a schedule is due, by the clock of its zone. */
const rows: [why: string, cron: string, timeZone: string, at: string, due: boolean][] = [
  ['in winter Helsinki is two hours ahead', '0 30 2 * * *', 'Europe/Helsinki', '2026-01-15T00:30:00Z', true],
  ['in summer three', '0 30 2 * * *', 'Europe/Helsinki', '2026-07-14T23:30:00Z', true],
  ['and not two', '0 30 2 * * *', 'Europe/Helsinki', '2026-07-15T00:30:00Z', false],
  ['one second later is too late', '0 30 2 * * *', 'UTC', '2026-01-15T02:30:01Z', false],
  ['five fields stand for second 0', '*/5 * * * *', 'UTC', '2026-01-15T02:35:00Z', true],
  ['seconds have steps', '*/10 * * * * *', 'UTC', '2026-01-15T02:35:20Z', true],
  ['a zone of a half hour', '0 0 9 * * *', 'Asia/Kolkata', '2026-01-15T03:30:00Z', true],
  ['the day of the week is that of the zone', '0 0 1 * * mon', 'Europe/Helsinki', '2026-01-18T23:00:00Z', true],
  ['both days written: the day of the month is enough', '0 0 0 15 * sun', 'UTC', '2026-01-15T00:00:00Z', true],
  ['both days written: the day of the week is enough', '0 0 0 1 * thu', 'UTC', '2026-01-15T00:00:00Z', true],
  ['one day written: it must be that', '0 0 0 16 * *', 'UTC', '2026-01-15T00:00:00Z', false],
  ['midnight is hour 0', '0 0 0 * * *', 'Europe/Helsinki', '2026-01-14T22:00:00Z', true],
  ['another month', '0 0 0 * feb *', 'UTC', '2026-01-15T00:00:00Z', false],
];
describe('a schedule without a server', () => {
  it.each(rows)('%s', (_why, cron, timeZone, at, due) => {
    expect(dueBy({ cron, timeZone })(Date.parse(at))).toBe(due);
  });

  it('comes not at all in an hour that the change of clocks leaves out, and is due again the next day', () => {
    const isDue = dueBy({ cron: '0 30 3 * * *', timeZone: 'Europe/Helsinki' });
    const due: string[] = [];
    for (let at = Date.parse('2026-03-28T00:00:00Z'); at < Date.parse('2026-03-31T00:00:00Z'); at += 60_000)
      if (isDue(at)) due.push(new Date(at).toISOString());
    expect(due).toEqual(['2026-03-28T01:30:00.000Z', '2026-03-30T00:30:00.000Z']);
  });
});
