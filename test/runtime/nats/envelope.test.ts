import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Body, type Message } from '../../../runtime/message.ts';
import {
  decodeMessage,
  encodeMessage,
  messageId,
  percentDecoded,
  percentEncoded,
  withoutControl,
} from '../../../runtime/nats/envelope.ts';

const attrs = { id: '1', source: '/shop', type: 'order', specversion: '1.0' } as const;
const message = (more: Partial<Message> = {}): Message => ({
  attrs,
  headers: {},
  body: Body.fromBytes(Buffer.from('{}')),
  ...more,
});

describe('envelope', () => {
  it('is CloudEvents in NATS binary mode', () => {
    const { headers } = encodeMessage(
      message({
        attrs: { ...attrs, datacontenttype: 'application/json', correlationid: 'c', traceparent: '00-a-b-01' },
        headers: { 'X-GitHub-Event': 'issues' },
      }),
    );
    expect(headers).toEqual({
      'ce-id': '1',
      'ce-source': '/shop',
      'ce-type': 'order',
      'ce-specversion': '1.0',
      'ce-correlationid': 'c',
      'content-type': 'application/json',
      traceparent: '00-a-b-01',
      'header-x-github-event': 'issues',
    });
  });

  it('comes back as it went in, whatever the values are', () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9]{0,15}$/);
    const value = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(
        fc.dictionary(name, value),
        fc.dictionary(fc.stringMatching(/^[a-z-]{1,20}$/), value),
        fc.uint8Array({ maxLength: 200 }),
        (more, headers, bytes) => {
          const sent = message({ attrs: { ...more, ...attrs }, headers, body: Body.fromBytes(bytes) });
          const stored = encodeMessage(sent);
          for (const text of Object.values(stored.headers)) expect(text).toMatch(/^[!-~]*$/);
          const back = decodeMessage(stored.headers, stored.body);
          expect({ ...back.attrs }).toEqual({ ...sent.attrs });
          expect({ ...back.headers }).toEqual({ ...sent.headers });
          expect(back.body.bytes()).toEqual(bytes);
        },
      ),
    );
  });

  it.each([
    ['Nats-Rollup', 'rollup would wipe a stream'],
    ['nats-msg-id', 'any case spelling'],
    ['NATS-Schedule', 'schedules publish elsewhere'],
    ['ce-id', 'a foreign header that looks like an attribute'],
    ['kanava-code', 'a foreign header that looks like ours'],
  ])('a foreign header %s cannot steer anything (%s)', (name) => {
    const { headers } = encodeMessage(message({ headers: { [name]: 'x' } }));
    expect(headers[`header-${name.toLowerCase()}`]).toBe('x');
    expect(Object.keys(headers).filter((key) => /^(nats-|kanava-)/i.test(key))).toEqual([]);
    expect(headers['ce-id']).toBe('1');
  });

  it.each<[Partial<Message>, string, string]>([
    [{ attrs: { ...attrs, 'x\r\nNats-Rollup': 'all' } }, 'InvalidAttribute', 'a name that ends its line'],
    [{ attrs: { ...attrs, 'Upper-Case': 'x' } }, 'InvalidAttribute', 'names are a-z and 0-9'],
    [{ headers: { 'x\r\ny': 'x' } }, 'InvalidHeader', 'a header name that ends its line'],
    [{ headers: { '': 'x' } }, 'InvalidHeader', 'an empty name'],
  ])('refuses %j as %s (%s)', (more, code) => {
    expect(() => encodeMessage(message(more))).toThrow(expect.objectContaining({ code }));
  });

  it.each<[Record<string, string>, string]>([
    [{}, 'nothing at all'],
    [{ 'ce-id': '1', 'ce-source': 's', 'ce-type': 't' }, 'no version'],
    [{ 'ce-id': '', 'ce-source': 's', 'ce-type': 't', 'ce-specversion': '1.0' }, 'an empty id'],
    [{ 'ce-id': '1', 'ce-source': 's', 'ce-type': 't', 'ce-specversion': '0.3' }, 'an old version'],
  ])('does not take %j for a message (%s)', (headers) => {
    expect(() => decodeMessage(headers, new Uint8Array())).toThrow(
      expect.objectContaining({ code: 'NoEnvelope', instruction: 'reject' }),
    );
  });

  it('strips control headers in any spelling and keeps the rest', () => {
    expect(withoutControl({ 'Nats-TTL': '1', 'NATS-ROLLUP': 'all', ' nats-x': '1', 'ce-id': '1', Natsy: '2' })).toEqual(
      {
        'ce-id': '1',
        Natsy: '2',
      },
    );
  });
});

describe('message ids', () => {
  it.each([
    [{ source: '/shop', id: '1' }, { source: '/shop', id: '1' }, true, 'the same event'],
    [{ source: '/shop', id: '1' }, { source: '/shop', id: '2' }, false, 'another event'],
    [{ source: '/shop', id: '1' }, { source: '/shop2', id: '1' }, false, 'another producer'],
    [{ source: 'ab', id: 'c' }, { source: 'a', id: 'bc' }, false, 'parts that join to the same text'],
  ])('%j and %j: same %s (%s)', (left, right, same) => {
    expect(messageId('in', { ...attrs, ...left }) === messageId('in', { ...attrs, ...right })).toBe(same);
  });

  it('are printable, bounded and tell the source', () => {
    expect(messageId('shop', { ...attrs, id: '\r\n'.repeat(5_000) })).toMatch(/^shop\/[A-Za-z0-9_-]{27}$/);
  });
});

describe('percent encoding', () => {
  it.each([
    ['Euro € 😀', 'Euro%20%E2%82%AC%20%F0%9F%98%80', 'the example of the CloudEvents binding'],
    ['a"b%c', 'a%22b%25c', 'quote and percent'],
    ['a\r\nb', 'a%0D%0Ab', 'line ends'],
    ['plain/text?x=1', 'plain/text?x=1', 'printable text stays readable'],
  ])('%j is %s (%s)', (value, encoded) => {
    expect([percentEncoded(value), percentDecoded(encoded)]).toEqual([encoded, value]);
  });

  it('reads what is not encoded as it is', () => {
    expect(percentDecoded('100% sure')).toBe('100% sure');
  });
});
