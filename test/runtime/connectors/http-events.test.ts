import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { HttpRequest } from '../../../runtime/connector.ts';
import { type EventDefaults, eventHeaders, readEvent } from '../../../runtime/connectors/http-events.ts';
import type { Attributes, Message } from '../../../runtime/message.ts';

const defaults: EventDefaults = { source: '/acme/orders/in', type: 'http.request', idHeader: undefined, headers: [] };
const request = (headers: Record<string, string>, body: string | Uint8Array = ''): HttpRequest => ({
  method: 'POST',
  path: '',
  headers,
  body: Buffer.from(body),
});
const accepted = (
  headers: Record<string, string>,
  body?: string | Uint8Array,
  more: Partial<EventDefaults> = {},
): Message => {
  const read = readEvent(request(headers, body), { ...defaults, ...more });
  if ('refused' in read) throw new Error(String(read.refused.body));
  return read.message;
};

describe('the id', () => {
  const event = { 'ce-specversion': '1.0', 'ce-source': '/s', 'ce-type': 't' };
  test.each<[why: string, headers: Record<string, string>, idHeader: string | undefined, id: string]>([
    ['the event has one', { ...event, 'ce-id': 'e', 'idempotency-key': 'k', 'x-id': 'h' }, 'x-id', 'e'],
    ['the configured header', { 'idempotency-key': 'k', 'x-id': 'h' }, 'x-id', 'h'],
    ['Idempotency-Key', { 'idempotency-key': 'k' }, 'x-id', 'k'],
    ['an empty header is none', { 'x-id': '', 'idempotency-key': 'k' }, 'x-id', 'k'],
    ['a header that was not configured is none', { 'x-id': 'h', 'idempotency-key': 'k' }, undefined, 'k'],
  ])('%s', (_why, headers, idHeader, id) => {
    expect(accepted(headers, '', { idHeader }).attrs.id).toBe(id);
  });

  test('without any: a random one', () => {
    expect(accepted({}).attrs.id).not.toBe(accepted({}).attrs.id);
  });
});

test('a trace that is none is dropped, and its state with it', () => {
  const { attrs } = accepted({ traceparent: 'x', tracestate: 'a=b' });
  expect([attrs['traceparent'], attrs['tracestate']]).toEqual([undefined, undefined]);
});

test('any event that we send as binary HTTP is read back as it was', () => {
  const text = fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' });
  const attribute = fc.stringMatching(/^[a-z0-9]{1,20}$/).filter((name) => !reserved.has(name));
  const event = fc
    .tuple(fc.dictionary(attribute, text, { maxKeys: 4 }), text, text, text)
    .map(([more, id, source, type]): Attributes => ({ ...more, id, source, type, time: 'now', specversion: '1.0' }));
  fc.assert(
    fc.property(event, (attrs) => {
      const headers = eventHeaders(attrs);
      for (const value of Object.values(headers)) expect(value).toMatch(/^[\x21-\x7e]*$/);
      expect({ ...accepted(headers).attrs }).toEqual({ ...attrs });
    }),
  );
});
const reserved = new Set(['data', 'datacontenttype', 'traceparent', 'tracestate', 'specversion', 'time']);

test('no bytes at all make it throw', () => {
  const types = ['application/json', 'application/cloudevents+json', 'application/cloudevents+xml', 'text/plain', ''];
  const header = fc.constantFrom(
    'ce-id',
    'ce-source',
    'ce-type',
    'ce-specversion',
    'ce-x',
    'ce-',
    'traceparent',
    'ce-data',
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...types),
      fc.dictionary(header, fc.oneof(fc.constant('1.0'), fc.string())),
      fc.oneof(
        fc.uint8Array(),
        fc.json().map((text) => Buffer.from(text)),
        fc
          .record({ specversion: fc.constant('1.0'), id: fc.string(), source: fc.json(), data: fc.jsonValue() })
          .map((event) => Buffer.from(JSON.stringify({ type: 't', ...event }))),
      ),
      (type, headers, body) => {
        const read = readEvent(request({ 'content-type': type, ...headers }, body), defaults);
        expect('refused' in read ? read.refused.status : 202).toBeOneOf([202, 400, 415]);
      },
    ),
  );
});
