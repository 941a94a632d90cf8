import { describe, expect, it } from 'vitest';
import { scheduleConnector } from '../../../runtime/connectors/schedule.ts';

const { source } = scheduleConnector;
if (source?.placement !== 'broker') throw new Error('schedule is a source of the broker');
const texts = (config: unknown) => source.config.safeParse(config).error?.issues.map(({ message }) => message);

describe('a schedule', () => {
  it('has six fields, a zone, a type and a body, whatever is left out', () => {
    expect(source.bind(source.config.parse({ cron: '0 2 * * *' }))).toEqual({
      stream: 'tick',
      schedule: {
        cron: '0 0 2 * * *',
        timeZone: 'UTC',
        type: 'schedule.tick',
        body: '{}',
        contentType: 'application/json',
      },
    });
  });

  it('says what its body is', () => {
    const bind = (body: string) => source.bind(source.config.parse({ cron: '0 2 * * *', body }));
    expect(bind('{"full": true}')).toMatchObject({ schedule: { contentType: 'application/json' } });
    expect(bind('full')).toMatchObject({ schedule: { contentType: 'text/plain; charset=utf-8' } });
  });

  it.each(['Europe/Helsinki', 'UTC', 'America/Argentina/Buenos_Aires', 'Etc/GMT+5', 'Asia/Calcutta', 'Europe/Kyiv'])(
    'takes the zone %s',
    (timeZone) => expect(texts({ cron: '0 2 * * *', timeZone })).toBeUndefined(),
  );

  it.each([
    ['a zone that is nowhere', { timeZone: 'Mars/Olympus' }, 'is not a known time zone'],
    ['other capitals, which the server would not find', { timeZone: 'europe/helsinki' }, 'Europe/Helsinki'],
    ['an offset', { timeZone: '+02:00' }, 'write the name of a time zone'],
    ['a path', { timeZone: '../../etc/passwd' }, 'write the name of a time zone'],
    ['four fields', { cron: '* * * *' }, 'write 5 fields'],
    ['a nickname', { cron: '@daily' }, 'write 5 fields'],
    ['two blanks', { cron: '0  2 * * *' }, 'write 5 fields'],
    ['an hour of no day', { cron: '0 24 * * *' }, 'hour "24"'],
    ['a body that is no schedule any more', { body: 'x'.repeat(16_385) }, '16384'],
  ])('refuses %s', (_, wrong, text) => {
    expect(texts({ cron: '0 2 * * *', ...wrong })).toEqual([expect.stringContaining(text)]);
  });
});
