import { describe, expect, it } from 'vitest';
import { logStep } from '../../../runtime/steps/log.ts';
import { stepConformance } from '../../conformance/step.ts';
import { messageOf, openStep } from './harness.ts';

stepConformance('log', {
  definition: logStep,
  config: { text: 'an order came', fields: { no: '=body.no' } },
  bad: [
    ['no text', {}],
    ['what is no expression', { text: 'a', fields: { no: '=body.no +' } }],
  ],
  passes: (index) => ({ no: index }),
});

const logged = async (config: unknown, body: Parameters<typeof messageOf>[0]) => {
  const lines: unknown[] = [];
  const at = (level: string) => (fields: Record<string, unknown>, text: string) =>
    void lines.push({ level, ...fields, text });
  const log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  const message = messageOf(body);
  expect(await (await openStep(logStep, config, { log }))(message)).toBe(message);
  return lines;
};

describe('log', () => {
  it('writes one line with the id and the fields, apart from those that each line has', async () => {
    expect(
      await logged({ text: 'came', fields: { no: '=body.no', level: 50, none: '=body.?none' } }, { no: 7 }),
    ).toEqual([{ level: 'info', id: '1', fields: { no: 7, level: 50 }, text: 'came' }]);
  });

  it.each(['debug', 'info', 'warn', 'error'])('writes at level %s', async (level) => {
    expect(await logged({ text: 'came', level }, {})).toEqual([{ level, id: '1', text: 'came' }]);
  });

  it.each<[string, Parameters<typeof messageOf>[0], RegExp]>([
    ['a field that is missing', { a: 1 }, /body\.no/],
    ['a body that is no JSON', Buffer.from('{'), /not valid UTF-8 JSON/],
    ['more than a line holds', { no: 'x'.repeat(5_000) }, /at most 4096/],
  ])('says why there are no fields: %s', async (_, body, reason) => {
    expect(await logged({ text: 'came', fields: { no: '=body.no' } }, body)).toEqual([
      { level: 'info', id: '1', reason: expect.stringMatching(reason) as string, text: 'came' },
    ]);
  });
});
