import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cronForm, cronProblem, sixFields } from '../../../runtime/connectors/cron.ts';

describe('cron fields', () => {
  it.each([
    ['every five minutes', '*/5 * * * *'],
    ['nightly', '0 2 * * *'],
    ['every second, with six fields', '* * * * * *'],
    ['lists, ranges and steps', '0,30 8-17/2 1-7 jan-mar MON-fri'],
    ['a value with a step, which runs to the end', '5/10 * * * *'],
    ['the 29th of February, which comes', '0 0 29 2 *'],
    ['the 31st of months of which one has it', '0 0 31 2,12 *'],
    ['a day of the week beside a day that never comes: either is enough', '0 0 31 2 mon'],
    ['a question mark', '0 0 ? * mon'],
  ])('take %s', (_, cron) => {
    expect(cron).toMatch(new RegExp(cronForm));
    expect(cronProblem(cron)).toBeUndefined();
  });

  it.each([
    ['a minute above 59', '60 * * * *', 'minute "60"'],
    ['Sunday as 7, which the server does not know', '0 0 * * 7', 'day of week "7"'],
    ['a month of no year', '0 0 1 13 *', 'month "13"'],
    ['a range that ends before it begins', '0 17-8 * * *', 'hour "17-8"'],
    ['no step', '*/0 * * * *', 'minute "*/0"'],
    ['a range of anything', '*-5 * * * *', 'minute "*-5"'],
    ['a name where there are none', 'mon * * * *', 'minute "mon"'],
    ['an empty list item', '1,,2 * * * *', 'minute "1,,2"'],
    ['two slashes', '1/2/3 * * * *', 'minute "1/2/3"'],
    ['a second above 59', '60 * * * * *', 'second "60"'],
    ['a day that no month has', '0 0 30 2 *', 'never comes'],
    ['a day that none of the months has', '0 0 31 4,6,9,11 *', 'never comes'],
  ])('refuse %s', (_, cron, text) => {
    expect(cronProblem(cron)).toContain(text);
  });

  it('get the second 0 where there are five', () => {
    expect(sixFields('*/5 * * * *')).toBe('0 */5 * * * *');
    expect(sixFields('1 2 3 4 5 6')).toBe('1 2 3 4 5 6');
  });

  it('are checked without an exception, whatever stands in them', () => {
    const part = fc.stringMatching(/^[0-9A-Za-z*?,/-]{1,8}$/);
    const cron = fc.array(part, { minLength: 5, maxLength: 6 }).map((parts) => parts.join(' '));
    fc.assert(
      fc.property(cron, (text) => ['undefined', 'string'].includes(typeof cronProblem(text))),
      { seed: 7, numRuns: 2_000 },
    );
  });
});
