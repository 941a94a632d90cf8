import { describe, expect, it } from 'vitest';
import { compileKey } from '../../../runtime/expr/key.ts';
import { Body } from '../../../runtime/message.ts';

const message = (body: string) => ({
  attrs: { id: '1', source: '/shop', type: 'order', specversion: '1.0', subject: 'a b' } as const,
  headers: { region: 'north' },
  body: Body.fromBytes(Buffer.from(body)),
});
const key = (source: string, body = '{}') =>
  compileKey(source, { tenant: 'acme', integration: 'orders' })(message(body));

describe('the key of a message', () => {
  it.each([
    ['body.order', '{"order": "A-1"}', 'A-1'],
    ['body.order', '{"order": 17}', '17'],
    ['body.express', '{"express": true}', 'true'],
    ["body.lines.map(l, l.sku).join(',')", '{"lines": [{"sku": "a"}, {"sku": "b"}]}', 'a,b'],
    ['attrs.subject', 'not JSON', 'a b'],
    ['headers.region + meta.integration', '{}', 'northorders'],
  ])('%s of %s is %s', (source, body, expected) => {
    expect(key(source, body)).toBe(expected);
  });

  it.each([
    ['body.order', '{}', 'a field that is not there'],
    ['body.order', 'not JSON', 'a body that is not JSON'],
    ['body.order', '{"order": null}', 'null'],
    ['body.order', '{"order": ["a"]}', 'a list'],
    ['body', '{"order": 1}', 'an object'],
    ['body.order', `{"order": "${'x'.repeat(257)}"}`, 'a text that is too long'],
  ])('%s of %s: no key (%s)', (source, body) => {
    expect(() => key(source, body)).toThrow(expect.objectContaining({ instruction: 'reject', code: 'KeyMissing' }));
  });

  it('whose expression is wrong is refused before any message', () => {
    expect(() => compileKey('body.', { tenant: '', integration: '' })).toThrow(/^delivery\.key: /);
  });
});
