import { describe, expect, it } from 'vitest';
import { templateProblem } from '../../../runtime/expr/liquid.ts';
import { templateStep } from '../../../runtime/steps/template.ts';
import { stepConformance } from '../../conformance/step.ts';
import { textOf, withStep } from './threads.ts';

stepConformance('template', {
  definition: templateStep,
  config: { text: 'no {{ body.no | default: "?" }}' },
  bad: [
    ['no text', {}],
    ['a way to escape that there is not', { text: 'a', escape: 'Sql' }],
  ],
  passes: (index) => ({ no: index }),
});

/* Templates that want out, or want too much: each is a dead letter with a code, and the process is as it was. */
const loops = '{% for a in (1..9999) %}{% for b in (1..9999) %}{% for c in (1..9999) %}{% assign x = a | times: b %}';
const endless = `${loops}{% endfor %}{% endfor %}{% endfor %}`;
const hostile: readonly (readonly [why: string, text: string, code: RegExp])[] = [
  ['a constructor', '{{ body.constructor }}', /^TemplateFailed$/],
  ['a prototype', '{{ body.__proto__.constructor }}', /^TemplateFailed$/],
  ['the constructor of a text', "{{ 'a'.constructor.constructor }}", /^TemplateFailed$/],
  ['the process', '{{ process.env }}', /^TemplateFailed$/],
  ['a function that arrays have', '{{ body.list.map }}', /^TemplateFailed$/],
  ['an unknown filter', "{{ 'a' | require }}", /^TemplateFailed$/],
  ['loops that do not end', endless, /^TooSlow$|^TemplateFailed$/],
  ['a range of all numbers', '{% for a in (1..999999999) %}{% endfor %}', /^TooSlow$|^TooMuchMemory$|^TemplateFailed$/],
  [
    'a text that doubles',
    `{% assign s = "0123456789" %}{% for a in (1..60) %}{% assign s = s | append: s %}{% endfor %}{{ s }}`,
    /^TooSlow$|^TooMuchMemory$|^TemplateFailed$/,
  ],
  [
    'a body that is asked for too much',
    '{% for a in (1..500000) %}0123456789{% endfor %}',
    /^TemplateFailed$|^TooSlow$/,
  ],
];
describe('hostile templates', { timeout: 120_000 }, () => {
  it.each(hostile)('%s', async (_, text, code) => {
    await withStep(templateStep, { text }, async (step) => {
      const error: unknown = await textOf(step, { list: [1] }).catch((failure: unknown) => failure);
      expect((error as { code?: string }).code).toMatch(code);
      expect((error as { instruction?: string }).instruction).toMatch(/reject|retry/);
    });
  });

  it.each([['include'], ['render'], ['layout'], ['block']])('%s reads files: it is no tag', (tag) => {
    expect(templateProblem(`{% ${tag} "/etc/passwd" %}`)).toContain(`"${tag}" not found`);
  });
  it('says where a template is wrong', () => {
    expect(templateProblem('a\n{% if %}')).toMatch(/line:2/);
    expect(templateProblem('Dear {{ body.name }}')).toBeUndefined();
  });

  it('one message that takes too long costs the others of its batch nothing', async () => {
    const text = `{% if body.evil %}${endless}{% else %}{{ body.no }}{% endif %}`;
    await withStep(templateStep, { text }, async (step) => {
      const all = Array.from({ length: 120 }, (_, no) => textOf(step, { no, evil: no === 30 }));
      const results = await Promise.allSettled(all);
      const failed = results.flatMap((result, no) => (result.status === 'rejected' ? [no] : []));
      expect(failed).toEqual([30]);
      expect(results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))).toEqual(
        Array.from({ length: 120 }, (_, no) => String(no)).filter((no) => no !== '30'),
      );
    });
  });
});
