import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { busSubject } from '../../../runtime/nats/names.ts';

/** What anybody can read back from a subject: no two types share one. */
const typeOf = (subject: string): string => decodeURIComponent(subject.slice('bus.'.length).replaceAll('_', '.'));

it('writes event types as people do, with dots made safe', () => {
  expect(busSubject('com.example.order-placed')).toBe('bus.com_example_order-placed');
  expect(busSubject('com_example')).toBe('bus.com%5Fexample');
});

it.each([
  ['subjects of others', 'x.tick.mine.t'],
  ['wildcards', '*'],
  ['the rest of a subject', '>'],
  ['a blank, which ends a subject', 'a b'],
  ['a line of the protocol', 'a\r\nPUB $JS.API.STREAM.PURGE.bus 0'],
  ['the server itself', '$SYS.REQ'],
  ['another script', 'tilaus.lähetetty'],
  ['more than one unit of UTF-16', 'order.\u{1f4e6}'],
  ['what looks encoded already', 'order%2Eplaced'],
])('encodes %s into one harmless token', (_, type) => {
  expect(busSubject(type)).toMatch(/^bus\.[A-Za-z0-9_%-]+$/);
  expect(typeOf(busSubject(type))).toBe(type);
});

it('encodes every type into one token from which it can be read back', () => {
  const type = fc.string({ unit: 'binary', minLength: 1, maxLength: 253 });
  fc.assert(
    fc.property(
      type,
      (value) => /^bus\.[A-Za-z0-9_%-]+$/.test(busSubject(value)) && typeOf(busSubject(value)) === value,
    ),
    { seed: 20_260_101, numRuns: 5_000 },
  );
});
