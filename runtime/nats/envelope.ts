import { hash } from 'node:crypto';
import { reject } from '../errors.ts';
import { type Attributes, Body, type Message } from '../message.ts';

/*
 * How a message lies in NATS: CloudEvents 1.0, NATS binary mode. Attributes are `ce-<name>` headers, the content type is
 * `content-type`, trace context is `traceparent` and `tracestate`, the body is the data as it came. Headers of the foreign protocol
 * get the prefix `header-`, so that none of them can be taken for an attribute or for one of the server's control headers. Header
 * values are percent-encoded outside printable ASCII, so that no value can end its line.
 */
export type Headers = Readonly<Record<string, string>>;

const attributePrefix = 'ce-';
const foreignPrefix = 'header-';
/** Attributes that have a header name of their own. */
const named: readonly (readonly [attribute: string, header: string])[] = [
  ['datacontenttype', 'content-type'],
  ['traceparent', 'traceparent'],
  ['tracestate', 'tracestate'],
];
const attributeOf: ReadonlyMap<string, string> = new Map(named.map(([attribute, header]) => [header, attribute]));

const attributeName = /^[a-z0-9]{1,64}$/;
const headerName = /^[a-z0-9!#$%&'*+.^_`|~-]{1,256}$/;

/** Room for the headers of a message, and for those that its dead letter adds: a body is at most the server's largest payload less this. */
export const headerRoom = 64 * 1024;

/** Throws `reject('InvalidAttribute' | 'InvalidHeader')` for names that no protocol allows. */
export const encodeMessage = ({ attrs, headers, body }: Message): { headers: Headers; body: Uint8Array } => {
  const encoded: Record<string, string> = {};
  for (const name in attrs) {
    const value = attrs[name];
    if (value === undefined) continue;
    const known = headersOfAttributes.get(name);
    if (known) {
      encoded[known] = percentEncoded(value);
      continue;
    }
    if (!attributeName.test(name)) {
      throw reject('InvalidAttribute', `"${name.slice(0, 80)}" is not a CloudEvents attribute: use a-z and 0-9`);
    }
    encoded[attributePrefix + name] = percentEncoded(value);
  }
  for (const name in headers) {
    const lower = name.toLowerCase();
    if (!headerName.test(lower)) throw reject('InvalidHeader', `"${name.slice(0, 80)}" is not a header name`);
    encoded[foreignPrefix + lower] = percentEncoded(headers[name] ?? '');
  }
  return { headers: encoded, body: body.bytes() };
};

/** Throws `reject('NoEnvelope')` for an entry that is not a CloudEvent. */
export const decodeMessage = (encoded: Headers, body: Uint8Array): Message => {
  const attrs: Record<string, string> = {};
  const headers: Record<string, string> = {};
  for (const name in encoded) {
    const { attribute, header } = roleOf(name);
    if (attribute !== undefined) attrs[attribute] = percentDecoded(encoded[name] as string);
    else if (header !== undefined) headers[header] = percentDecoded(encoded[name] as string);
  }
  if (!attrs.id || !attrs.source || !attrs.type || attrs.specversion !== '1.0') {
    const missing = ['id', 'source', 'type'].filter((name) => !attrs[name]);
    const what = missing.length > 0 ? `without ${missing.join(', ')}` : `of specversion "${attrs.specversion ?? ''}"`;
    throw reject('NoEnvelope', `the stored entry is not a CloudEvent 1.0: ${what}`);
  }
  return { attrs: attrs as unknown as Attributes, headers, body: Body.fromBytes(body) };
};

/** What a header of a stored entry is: an attribute, a kept header of the foreign protocol, or nothing of the message. */
interface HeaderRole {
  readonly attribute?: string;
  readonly header?: string;
}
const roleOf = (name: string): HeaderRole => {
  const known = rolesOfAttributes.get(name);
  if (known) return known;
  const lower = name.toLowerCase();
  if (lower.startsWith(attributePrefix)) return { attribute: lower.slice(attributePrefix.length) };
  if (lower.startsWith(foreignPrefix)) return { header: lower.slice(foreignPrefix.length) };
  const attribute = attributeOf.get(lower);
  return attribute === undefined ? {} : { attribute };
};
/** Those that nearly every message has, as this module writes them. */
const headersOfAttributes: ReadonlyMap<string, string> = new Map([
  ...['id', 'source', 'type', 'specversion', 'time', 'subject', 'correlationid', 'causationid'].map(
    (attribute) => [attribute, attributePrefix + attribute] as const,
  ),
  ...named,
]);
const rolesOfAttributes: ReadonlyMap<string, HeaderRole> = new Map(
  [...headersOfAttributes].map(([attribute, header]) => [header, { attribute }] as const),
);

/**
 * `Nats-*` headers steer the server (rollup, TTL, expectations), `kanava-*` the engine: those of an earlier life of a message never go
 * along into its next one.
 */
export const withoutControl = (headers: Headers): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !/^(nats|kanava)-/i.test(name.trim())));

/** Deduplication id of a message that came from a source of an Integration; the same event always has the same one. */
export const messageId = (source: string, attrs: Attributes): string =>
  `${source}/${hash('sha256', `${attrs.source.length}:${attrs.source}${attrs.id}`, 'base64url').slice(0, 27)}`;

/** The key by which order is kept, as intake computed it: CloudEvents' partitioning extension. */
export const keyAttribute = 'partitionkey';
export const keyHeader = `${attributePrefix}${keyAttribute}`;

/** What a dead letter carries beside the original headers and body. */
export const deadLetterHeaders = {
  class: 'kanava-class',
  code: 'kanava-code',
  message: 'kanava-message',
  part: 'kanava-part',
  attempts: 'kanava-attempts',
  first: 'kanava-first-at',
  last: 'kanava-last-at',
  generation: 'kanava-generation',
  subject: 'kanava-subject',
  /** Deduplication id under which the message was accepted; replays append to it and hand it on. */
  id: 'kanava-id',
  /** The sink, for one of several messages also which: what a replay delivers. Absent when a step failed. */
  key: 'kanava-key',
  replays: 'kanava-replays',
} as const;

/**
 * What a replay asks of the engine, which believes it only in its own inbox: nothing from outside can carry these names (foreign
 * headers and attributes have prefixes), and of the Integration's own credentials only those for replays write them.
 */
export const replayHeaders = {
  /** Step to start at. */
  from: 'kanava-replay-from',
  /** The one key to deliver. */
  only: 'kanava-replay-only',
  id: deadLetterHeaders.id,
  /** Which replay this is, from 1; every one has it. */
  count: deadLetterHeaders.replays,
} as const;

/**
 * Of a message that a step put into the inbox of its own Integration: the step, whose `resume` it begins with. Believed and protected like
 * the headers of replays.
 */
export const resumeHeader = 'kanava-resume';

/** As the CloudEvents NATS binding says: space, quote, percent and everything outside printable ASCII. */
export const percentEncoded = (value: string): string =>
  /^[!#$&-~]*$/.test(value)
    ? value
    : value
        .toWellFormed()
        .replace(/[^!#$&-~]+/g, (run) =>
          [...Buffer.from(run)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
        );
/** Forgiving: what is no valid encoding stands for itself. */
export const percentDecoded = (value: string): string => {
  if (!value.includes('%')) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
};
