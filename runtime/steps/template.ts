import type { z } from 'zod';
import { defineStep } from '../connector.ts';
import { liquid } from '../expr/fields.ts';
import { Body } from '../message.ts';
import { choiceOf, shape, text } from '../schema.ts';
import { threadLimits } from './thread-limits.ts';

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
    doc: `Variables are those of expressions: body, headers, attrs, vars, meta. A field that is not there fails the message, except in an if or with the filter default. Files cannot be included. ${threadLimits}`,
  },
);

/** Message translator for texts. */
export const templateStep = defineStep<z.infer<typeof config>>({
  name: 'template',
  summary: 'Makes a text of the message, by a Liquid template.',
  config,
  state: 'none',
  async open({ text: source, contentType = 'text/plain; charset=utf-8', escape = 'None' }, context) {
    const { openInThread } = await import('./in-thread.ts');
    const data = { text: source, escape };
    const thread = openInThread('template', { language: 'liquid', data, code: 'TemplateFailed' }, context);
    return {
      async run(message, attempt) {
        const made = await thread.run(message, attempt);
        return {
          ...message,
          attrs: { ...message.attrs, datacontenttype: contentType },
          body: Body.fromBytes(Buffer.from(made)),
        };
      },
      close: () => thread.close(),
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
