import type { z } from 'zod';
import { defineStep } from '../connector.ts';
import { liquid } from '../expr/fields.ts';
import { Body } from '../message.ts';
import { choiceOf, shape, text } from '../schema.ts';

const config = shape(
  'Makes a text of the message.',
  {
    text: liquid('Liquid template of the new body.'),
    contentType: text('Content type; text/plain when absent.', 128).optional(),
    escape: choiceOf('What is done to values; default None.', ['None', 'Html'], {
      doc: 'Html escapes every value that is put out, unless its last filter is raw.',
    }).optional(),
  },
  {
    doc: 'Variables are those of expressions: body, headers, attrs, vars, meta. A field that is not there fails the message, except in an if or with the filter default. Files cannot be included. A template runs in a thread of its own, with 64 MiB and 500 ms of CPU time for a message: beyond, the message is a dead letter (TooMuchMemory, TooSlow).',
  },
);

/** Message translator for texts. */
export const templateStep = defineStep<z.infer<typeof config>>({
  name: 'template',
  summary: 'Makes a text of the message, by a Liquid template.',
  config,
  state: 'none',
  async open({ text: source, contentType = 'text/plain; charset=utf-8', escape = 'None' }, { scope }) {
    const [{ createSandbox }, { liquidProgram }] = await Promise.all([
      import('../expr/sandbox.ts'),
      import('../expr/liquid-program.ts'),
    ]);
    const sandbox = createSandbox({
      program: liquidProgram,
      data: { text: source, escape },
      what: 'template',
      code: 'TemplateFailed',
    });
    return {
      async run(message, attempt) {
        // Says what is no JSON here; the thread reads it again, because a value that is too deep cannot be handed over.
        message.body.value();
        const { headers, attrs, vars, meta } = scope(message, attempt);
        const body = Buffer.from(message.body.bytes()).toString();
        const made = await sandbox.run(JSON.stringify({ headers, attrs, vars, meta, body }));
        return {
          ...message,
          attrs: { ...message.attrs, datacontenttype: contentType },
          body: Body.fromBytes(Buffer.from(made)),
        };
      },
      close: () => sandbox.close(),
    };
  },
  examples: () => [
    {
      why: 'a mail about an order',
      config: {
        text: 'Dear {{ body.name }},\n{% for line in body.lines %}- {{ line.qty }} x {{ line.sku }}\n{% endfor %}',
      },
      given: {
        body: {
          name: 'Ada',
          lines: [
            { sku: 'x', qty: 2 },
            { sku: 'y', qty: 1 },
          ],
        },
      },
      becomes: [{ text: 'Dear Ada,\n- 2 x x\n- 1 x y\n' }],
    },
    {
      why: 'HTML, in which no value is a tag; a field that may be absent',
      config: {
        text: '<p>{{ body.name }}{{ body.title | default: "" }}</p>',
        escape: 'Html',
        contentType: 'text/html',
      },
      given: { body: { name: '<b>Ada' } },
      becomes: [{ text: '<p>&lt;b&gt;Ada</p>' }],
    },
    {
      why: 'a field that is not there',
      config: { text: 'Dear {{ body.name }}' },
      given: { body: {} },
      rejects: 'TemplateFailed',
    },
    {
      why: 'a template that does not end',
      config: { text: '{% for a in (1..9999) %}{% for b in (1..9999) %}{{ a | times: b }}{% endfor %}{% endfor %}' },
      given: { body: {} },
      rejects: 'TooSlow',
    },
    { why: 'no JSON', config: { text: 'a' }, given: { text: 'no=7' }, rejects: 'BodyNotJson' },
    { why: 'no template', config: { text: '' }, refused: 'text' },
  ],
});
