import { randomUUID } from 'node:crypto';
import type { HttpRequest, HttpResponse, LargeHttpRequest } from '../connector.ts';
import { type Attributes, Body, type Message } from '../message.ts';
import { problem } from './http-problem.ts';

/*
 * CloudEvents 1.0 over HTTP: binary mode (`ce-*` headers, the body is the data), structured mode (one JSON object), and plain
 * requests, which become events of the source's own type. Bodies are bytes; only what calls itself JSON is checked for being it.
 */

export interface EventDefaults {
  readonly source: string;
  readonly type: string;
  /** Lower case. */
  readonly idHeader: string | undefined;
  readonly headers: readonly string[];
}
export type ReadEvent = { readonly message: Message } | { readonly refused: HttpResponse };

const structuredType = 'application/cloudevents+json';
const attributeName = /^[a-z0-9]{1,64}$/;
const traceparentForm = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}/;
const utf8 = new TextDecoder('utf-8', { fatal: true });
const refused = (status: number, code: string, detail: string, headers?: Record<string, string>): ReadEvent => ({
  refused: problem(status, code, detail, headers),
});

/** A large body is not looked at: neither is it an event in itself, nor is it known whether it is JSON. */
export const readEvent = (request: HttpRequest | LargeHttpRequest, defaults: EventDefaults): ReadEvent => {
  const { headers, body } = request;
  const contentType = headers['content-type'];
  const mediaType = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  const encoding = headers['content-encoding']?.toLowerCase();
  if (encoding && encoding !== 'identity') {
    return refused(415, 'EncodingUnsupported', `send the body without content-encoding ${quoted(encoding)}`, {
      'accept-encoding': 'identity',
    });
  }
  if (mediaType?.startsWith('application/cloudevents') && mediaType !== structuredType) {
    return refused(
      415,
      'MediaTypeUnsupported',
      `${quoted(mediaType)} is not accepted: send one CloudEvent a request, in binary mode (ce-* headers) or as ${structuredType}`,
      { accept: `${structuredType}, application/json, */*` },
    );
  }
  const read = partsOf(body, headers, contentType, mediaType);
  if ('refused' in read) return read;
  const { attrs } = read;
  // An empty header is none: an event without id could not be told from another.
  const id =
    attrs['id'] || (defaults.idHeader && headers[defaults.idHeader]) || headers['idempotency-key'] || randomUUID();
  const traceparent = headers['traceparent'];
  const traced = traceparent !== undefined && traceparentForm.test(traceparent);
  const full: Attributes = {
    ...attrs,
    ...(traced ? { traceparent } : {}),
    ...(traced && headers['tracestate'] ? { tracestate: headers['tracestate'] } : {}),
    id,
    source: attrs['source'] ?? defaults.source,
    type: attrs['type'] ?? defaults.type,
    time: attrs['time'] ?? new Date().toISOString(),
    specversion: '1.0',
  };
  return { message: { attrs: full, headers: kept(headers, defaults.headers), body: read.body } };
};

type Parts = { attrs: Record<string, string>; body: Body };
type ReadParts = Parts | { refused: HttpResponse };

const partsOf = (
  body: HttpRequest['body'] | LargeHttpRequest['body'],
  headers: HttpRequest['headers'],
  contentType: string | undefined,
  mediaType: string | undefined,
): ReadParts => {
  const whole = body instanceof Uint8Array ? body : undefined;
  if (mediaType === structuredType) return whole ? structured(whole) : tooLarge(`a CloudEvent as ${structuredType}`);
  const attrs: Record<string, string> = {};
  if (headers['ce-specversion'] !== undefined) {
    for (const [header, value] of Object.entries(headers)) {
      if (!header.startsWith('ce-') || value === undefined) continue;
      const name = header.slice(3);
      if (!attributeName.test(name) || name === 'data' || name === 'datacontenttype') {
        return event(`header ${quoted(header)} is no CloudEvents attribute: use a-z and 0-9`);
      }
      attrs[name] = percentDecoded(value);
    }
    const wrong = incomplete(attrs);
    if (wrong) return event(wrong);
  }
  if (contentType !== undefined) attrs['datacontenttype'] = contentType;
  if (whole && (mediaType === 'application/json' || mediaType?.endsWith('+json'))) {
    const parsed = json(whole);
    if ('refused' in parsed) return parsed;
  }
  return { attrs, body: body instanceof Uint8Array ? Body.fromBytes(body) : Body.inPieces({ read: () => body }) };
};

const tooLarge = (what: string): { refused: HttpResponse } => ({
  refused: problem(
    413,
    'BodyTooLarge',
    `${what} is too large to be taken apart: send it in binary mode (ce-* headers)`,
  ),
});

const structured = (bytes: Uint8Array): ReadParts => {
  const parsed = json(bytes);
  if ('refused' in parsed) return parsed;
  const { value } = parsed;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return event('it is not a JSON object');
  const attrs: Record<string, string> = {};
  for (const [name, field] of Object.entries(value)) {
    if (name === 'data' || name === 'data_base64' || field === null) continue;
    if (!attributeName.test(name)) return event(`${quoted(name)} is no attribute name: use a-z and 0-9`);
    if (typeof field === 'object') return event(`attribute ${quoted(name)} is an object: attributes are simple values`);
    attrs[name] = String(field);
  }
  const wrong = incomplete(attrs);
  if (wrong) return event(wrong);
  const { data, data_base64: base64 } = value as { data?: unknown; data_base64?: unknown };
  if (data !== undefined && base64 !== undefined) return event('it has data and data_base64: send one');
  if (base64 !== undefined) {
    if (
      typeof base64 !== 'string' ||
      !/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(base64)
    ) {
      return event('data_base64 is not base64');
    }
    return { attrs, body: Body.fromBytes(Buffer.from(base64, 'base64')) };
  }
  if (data === undefined) return { attrs, body: Body.fromBytes(new Uint8Array()) };
  const type = attrs['datacontenttype']?.split(';', 1)[0]?.trim().toLowerCase();
  const isJson = type === undefined || type === 'application/json' || type.endsWith('+json');
  if (type === undefined) attrs['datacontenttype'] = 'application/json';
  // The JSON format: a string under a media type that is not JSON is the data itself.
  const text = typeof data === 'string' && !isJson ? data : JSON.stringify(data);
  return { attrs, body: Body.fromBytes(Buffer.from(text)) };
};

const event = (what: string): { refused: HttpResponse } => ({
  refused: problem(400, 'CloudEventInvalid', `the CloudEvent is not valid: ${what}`),
});

const incomplete = (attrs: Record<string, string>): string | undefined => {
  if (attrs['specversion'] !== '1.0') {
    return `specversion is ${attrs['specversion'] === undefined ? 'missing' : quoted(attrs['specversion'])}: send 1.0`;
  }
  const missing = ['id', 'source', 'type'].filter((name) => !attrs[name]);
  return missing.length > 0 ? `${missing.join(', ')} must be there and not be empty` : undefined;
};

const json = (bytes: Uint8Array): { value: unknown } | { refused: HttpResponse } => {
  try {
    return { value: JSON.parse(utf8.decode(bytes)) };
  } catch (error) {
    return {
      refused: problem(
        400,
        'BodyNotJson',
        `the content type says JSON, but the body (${bytes.length} bytes) is not: ${(error as Error).message}`,
      ),
    };
  }
};

const kept = (
  headers: Readonly<Record<string, string | undefined>>,
  names: readonly string[],
): Readonly<Record<string, string>> =>
  Object.fromEntries(names.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]])));

/* ---- Out ------------------------------------------------------------------------------------------------------------------ */

/** Headers of a message in binary mode. Attribute values are percent-encoded as the HTTP binding says, so any value is a header. */
export const eventHeaders = (attrs: Attributes): Record<string, string> => {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(attrs)) {
    if (value === undefined || name === 'datacontenttype') continue;
    if (name === 'traceparent' || name === 'tracestate') headers[name] = percentEncoded(value);
    else headers[`ce-${name}`] = percentEncoded(value);
  }
  return headers;
};

export const percentEncoded = (value: string): string =>
  value.toWellFormed().replace(/[^\x21\x23\x24\x26-\x7e]/gu, (char) => encoded(char));
const encoded = (char: string): string =>
  [...Buffer.from(char)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');

const percentDecoded = (value: string): string => {
  const plain = value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
  try {
    return decodeURIComponent(plain);
  } catch {
    return plain; // a lone "%" was meant as one
  }
};

const quoted = (value: string): string => JSON.stringify(value.slice(0, 100));
