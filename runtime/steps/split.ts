import type { z } from 'zod';
import { defineStep } from '../connector.ts';
import { reject } from '../errors.ts';
import { parseExpression } from '../expr/cel.ts';
import { cel } from '../expr/fields.ts';
import { Body, type JsonValue, type Message } from '../message.ts';
import { integer, oneOf, shape, text } from '../schema.ts';
import { endOfLine } from './split-marks.ts';
import type * as InParts from './split-parts.ts';

const contentType = text('Content type of the parts.', 128, {
  doc: 'Absent: application/json where the message is JSON Lines, else what the message has.',
}).optional();

const config = oneOf(
  'way to split',
  'Makes several messages of one.',
  {
    items: cel('A list, such as body.lines: one message an item.'),
    lines: shape('One message a line; empty lines are left out.', { contentType }),
    records: oneOf('end of a record', 'One message a record.', {
      separator: shape('What is between two records.', { text: text('The text.', 64), contentType }),
      size: shape('Records of a fixed length.', { bytes: integer('Bytes of each.', 1, 65_536), contentType }),
    }),
  },
  {
    doc: 'Each part has the id of the message, a slash and its number from 0, the same at every attempt. The message is acknowledged when every part has reached its sinks; what the parts take is counted together against delivery.timeout. A large body is read part by part, for `items` where they only name the body or fields of it (`body`, `body.order.lines`); any other expression needs the whole.',
  },
);
type Config = z.infer<typeof config>;

/** Splitter. Lines and records are views of the bytes that came, made one by one: the whole is never parsed or copied. */
export const splitStep = defineStep<Config>({
  name: 'split',
  summary: 'Makes several messages of one.',
  config,
  state: 'none',
  takesParts: ({ items }) => items === undefined || pathOf(items) !== undefined,
  open({ items, lines, records }, { scope }) {
    if (lines)
      return {
        run: (message) => parts(message, between(message.body.bytes(), newLine, true), lines),
        takeApart: (message) =>
          takenApart(message, lines, ({ betweenMarks }, read) => betweenMarks(read, newLine, true)),
      };
    if (records?.separator) {
      const { separator } = records;
      const mark = Buffer.from(separator.text);
      return {
        run: (message) => parts(message, between(message.body.bytes(), mark, false), separator),
        takeApart: (message) =>
          takenApart(message, separator, ({ betweenMarks }, read) => betweenMarks(read, mark, false)),
      };
    }
    if (records?.size) {
      const { size } = records;
      return {
        run: (message) => parts(message, ofSize(message.body.bytes(), size.bytes), size),
        takeApart: (message) =>
          takenApart(message, size, ({ ofSizeIn }, read) => ofSizeIn(read, size.bytes), size.bytes),
      };
    }
    const listOf = listIn(items as string);
    const path = pathOf(items as string);
    return {
      run: (message, attempt) => itemsOf(message, listOf(scope(message, attempt))),
      ...(path && { takeApart: (message: Message) => itemsTakenApart(message, path) }),
    };
  },
  examples: () => [
    {
      why: 'one message for each line of an order',
      config: { items: 'body.lines' },
      given: { body: { no: 7, lines: [{ sku: 'x' }, { sku: 'y' }] } },
      becomes: [{ body: { sku: 'x' } }, { body: { sku: 'y' } }],
    },
    {
      why: 'what the parts need of the whole is put into them',
      config: { items: "body.lines.map(l, {'no': body.no, 'sku': l.sku})" },
      given: { body: { no: 7, lines: [{ sku: 'x' }] } },
      becomes: [{ body: { no: 7, sku: 'x' } }],
    },
    {
      why: 'JSON Lines, with line ends of any kind; empty lines are none',
      config: { lines: { contentType: 'application/json' } },
      given: { text: '{"a":1}\r\n\n{"a":2}\n' },
      becomes: [{ body: { a: 1 } }, { body: { a: 2 } }],
    },
    {
      why: 'records with a text between them',
      config: { records: { separator: { text: '---' } } },
      given: { text: 'a---b' },
      becomes: [{ text: 'a' }, { text: 'b' }],
    },
    { why: 'an empty list: nothing goes on', config: { items: 'body' }, given: { body: [] }, becomes: [] },
    { why: 'no list', config: { items: 'body.lines' }, given: { body: { lines: 7 } }, rejects: 'NotAList' },
    {
      why: 'half a record',
      config: { records: { size: { bytes: 2 } } },
      given: { text: 'aabbc' },
      rejects: 'RecordIncomplete',
    },
    {
      why: 'two ways at once',
      config: { items: 'body', lines: {} },
      refused: 'has more than one way to split: items lines (keep one)',
    },
  ],
});

const newLine = Buffer.from('\n');
const jsonLines = /^application\/(x-ndjson|jsonl|x-jsonlines|jsonlines)\b/i;

const listIn = (source: string) => {
  const parsed = parseExpression(source);
  if (!parsed.ok) throw new Error(`split.items: ${parsed.message}`);
  return (scope: Parameters<typeof parsed.expression.evaluate>[0]): readonly JsonValue[] => {
    const list = parsed.expression.evaluate(scope);
    if (Array.isArray(list)) return list as JsonValue[];
    throw reject('NotAList', `split.items must be a list, not ${list === null ? 'null' : typeof list}`);
  };
};

/** Fields on the way from the body to a list; nothing for an expression that does more than name them. */
const pathOf = (items: string): readonly string[] | undefined =>
  /^\s*body(\.[A-Za-z_]\w*)*\s*$/.test(items) ? items.trim().split('.').slice(1) : undefined;

function* itemsOf(message: Message, items: readonly JsonValue[]): Iterable<Message> {
  const attrs = asJson(message);
  for (const item of items) yield { ...message, attrs, body: Body.fromValue(item) };
}

async function* itemsTakenApart(message: Message, path: readonly string[]): AsyncGenerator<Message> {
  const { large } = message.body;
  if (!large) return;
  const { itemsIn } = await import('./split-items.ts');
  const attrs = asJson(message);
  for await (const item of itemsIn(large.read(), path)) yield { ...message, attrs, body: Body.fromValue(item) };
}

const asJson = ({ attrs }: Message): Message['attrs'] => ({ ...attrs, datacontenttype: 'application/json' });

interface Typed {
  readonly contentType?: string | undefined;
}
function* parts(message: Message, pieces: Iterable<Uint8Array>, typed: Typed): Iterable<Message> {
  const attrs = attrsOf(message, typed);
  for (const bytes of pieces) yield { ...message, attrs, body: Body.fromBytes(bytes) };
}

const attrsOf = ({ attrs }: Message, { contentType }: Typed): Message['attrs'] => {
  const came = attrs['datacontenttype'];
  const type = contentType ?? (came !== undefined && jsonLines.test(came) ? 'application/json' : came);
  return type === undefined ? attrs : { ...attrs, datacontenttype: type };
};

/** A body that lies in parts; what reads it is loaded when there is one. */
async function* takenApart(
  message: Message,
  typed: Typed,
  pieces: (how: typeof InParts, read: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>,
  recordBytes?: number,
): AsyncGenerator<Message> {
  const { large } = message.body;
  if (!large) return;
  if (recordBytes !== undefined) assertWhole(large.bytes ?? 0, recordBytes);
  const attrs = attrsOf(message, typed);
  for await (const bytes of pieces(await import('./split-parts.ts'), large.read()))
    yield { ...message, attrs, body: Body.fromBytes(bytes) };
}

/** Empty pieces are left out: the one after a mark at the end, and blank lines. */
function* between(whole: Uint8Array, mark: Buffer, isLine: boolean): Iterable<Uint8Array> {
  const bytes = Buffer.from(whole.buffer, whole.byteOffset, whole.length);
  for (let start = 0; start < bytes.length; ) {
    const found = bytes.indexOf(mark, start);
    const next = found < 0 ? bytes.length : found;
    const end = isLine ? endOfLine(bytes, start, next) : next;
    if (end > start) yield bytes.subarray(start, end);
    start = next + mark.length;
  }
}

function* ofSize(bytes: Uint8Array, size: number): Iterable<Uint8Array> {
  assertWhole(bytes.length, size);
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

const assertWhole = (bytes: number, size: number): void => {
  if (bytes % size === 0) return;
  throw reject(
    'RecordIncomplete',
    `split.records.size: ${bytes} bytes are not a whole number of records of ${size} bytes`,
  );
};
