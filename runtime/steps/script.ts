import type { z } from 'zod';
import { defineStep } from '../connector.ts';
import { reject } from '../errors.ts';
import { script } from '../expr/fields.ts';
import { Body, type JsonValue, type Message } from '../message.ts';
import { shape } from '../schema.ts';
import { headersFrom } from './headers.ts';
import { threadLimits } from './thread-limits.ts';

const config = shape(
  'Makes messages of the message, by JavaScript.',
  { code: script('Body of a function (message) that returns messages.') },
  {
    doc: `\`message\` has body, headers, vars, attrs and meta; attrs and meta cannot be changed. Return a message (\`return message;\`, \`return {body};\`), a list of them, or nothing: then nothing goes on. Headers and vars that a returned message does not have stay as they were, a body too. Bodies are JSON: undefined and functions are left out of objects and are null in lists, dates become texts, NaN and Infinity fail the message, a BigInt has to become a number or a text. The language is that of ECMAScript 2023 without promises that wait, timers, modules, network, files and console; each message starts in a new world, so nothing can be kept from one to the next. ${threadLimits}`,
  },
);

/** What the language of a message cannot say. */
export const scriptStep = defineStep<z.infer<typeof config>>({
  name: 'script',
  summary: 'Makes messages of the message, by JavaScript.',
  config,
  state: 'none',
  async open({ code }, context) {
    const { openInThread } = await import('./in-thread.ts');
    const { compiledEngine } = await import('../expr/threads/engine.ts');
    const data = { engine: await compiledEngine(), code };
    const thread = openInThread('script', { language: 'script', data, code: 'ScriptFailed' }, context);
    return {
      async run(message, attempt) {
        const made = madeOf(await thread.run(message, attempt));
        const messages = made.map((item) => messageOf(message, item));
        return messages.length === 1 ? messages[0] : messages;
      },
      close: () => thread.close(),
    };
  },
  examples: () => [
    {
      why: 'sums by kind, and a header',
      config: {
        code: `const sums = {};
for (const { kind, qty, price } of message.body.lines) {
  sums[kind] = (sums[kind] ?? 0) + qty * price;
}
return { body: { no: message.body.no, sums }, headers: { ...message.headers, 'x-kinds': Object.keys(sums).length } };`,
      },
      given: {
        body: {
          no: 7,
          lines: [
            { kind: 'book', qty: 2, price: 10.5 },
            { kind: 'pen', qty: 3, price: 1 },
            { kind: 'book', qty: 1, price: 4 },
          ],
        },
      },
      becomes: [{ body: { no: 7, sums: { book: 25, pen: 3 } }, headers: { 'x-kinds': '2' } }],
    },
    {
      why: 'several messages: each has the id of the message, a slash and its number',
      config: { code: 'return message.body.lines.map((line) => ({ body: { ...line, no: message.body.no } }));' },
      given: { body: { no: 7, lines: [{ sku: 'x' }, { sku: 'y' }] } },
      becomes: [{ body: { sku: 'x', no: 7 } }, { body: { sku: 'y', no: 7 } }],
    },
    {
      why: 'nothing is returned: nothing goes on',
      config: { code: 'if (message.body.total > 10) return message;' },
      given: { body: { total: 3 } },
      becomes: [],
    },
    {
      why: 'a variable for later steps; the body stays as it came, byte for byte',
      config: { code: 'return { vars: { ...message.vars, lines: message.body.lines.length } };' },
      given: { text: '{ "lines": [1, 2] }' },
      becomes: [{ text: '{ "lines": [1, 2] }', vars: { lines: 2 } }],
    },
    {
      why: 'what a script throws is what the dead letter says',
      config: { code: "throw new Error('no customer');" },
      given: { body: {} },
      rejects: 'ScriptFailed',
    },
    {
      why: 'a number that JSON cannot hold',
      config: { code: 'return { body: { share: message.body.sum / message.body.count } };' },
      given: { body: { sum: 1, count: 0 } },
      rejects: 'ScriptFailed',
    },
    { why: 'a script that does not end', config: { code: 'while (true);' }, given: { body: {} }, rejects: 'TooSlow' },
    { why: 'no JSON', config: { code: 'return message;' }, given: { text: 'no=7' }, rejects: 'BodyNotJson' },
    { why: 'no script', config: { code: '' }, refused: 'code' },
  ],
});

interface Made {
  readonly body?: string;
  readonly headers?: unknown;
  readonly vars?: unknown;
}

/** Written by the script's own world, which may have been turned inside out: nothing of its form is trusted. */
const madeOf = (text: string): readonly Made[] => {
  try {
    const made: unknown = JSON.parse(text);
    if (Array.isArray(made) && made.every(isRecord)) return made;
  } catch {
    // Said below.
  }
  throw reject('ScriptFailed', 'script: what it returned cannot be read');
};

const messageOf = (message: Message, { body, headers, vars }: Made): Message => ({
  ...message,
  ...(typeof body === 'string'
    ? { attrs: { ...message.attrs, datacontenttype: 'application/json' }, body: Body.fromBytes(Buffer.from(body)) }
    : {}),
  ...(isRecord(headers) ? { headers: headersFrom('script', headers) } : {}),
  ...(isRecord(vars) ? { vars: vars as Readonly<Record<string, JsonValue>> } : {}),
});

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
