import type { z } from 'zod';
import { defineStep, type ExpressionScope } from '../connector.ts';
import { reasonOf } from '../errors.ts';
import { compileTree, exprRecord } from '../expr/tree.ts';
import { choiceOf, shape, text } from '../schema.ts';

const config = shape(
  'Writes a line to the log of the worker.',
  {
    text: text('What the line says.', 256),
    level: choiceOf('Level; info when absent.', ['debug', 'info', 'warn', 'error']).optional(),
    fields: exprRecord(
      'Values of the line; text that starts with = is CEL.',
      'They are written below `fields`, up to 4096 characters together. A log is read by others than the message: name what they may see.',
    ).optional(),
  },
  {
    doc: 'Every message goes on as it is: fields that cannot be computed are replaced by the reason. An attempt that is repeated writes its line again.',
  },
);

/** A line is read by people and kept by others: a body does not belong there. */
const mostCharacters = 4096;

export const logStep = defineStep<z.infer<typeof config>>({
  name: 'log',
  summary: 'Writes a line to the log and lets the message go on.',
  config,
  state: 'none',
  open({ text: said, level = 'info', fields }, { log, scope }) {
    const tree = fields === undefined ? undefined : compileTree(fields);
    const computed = (variables: ExpressionScope): Record<string, unknown> => {
      try {
        const value = tree?.evaluate(variables);
        if (value === undefined) return {};
        const { length } = JSON.stringify(value);
        return length > mostCharacters
          ? { reason: `the fields have ${length} characters, a line has at most ${mostCharacters}` }
          : { fields: value };
      } catch (error) {
        return { reason: reasonOf(error) };
      }
    };
    return {
      run(message, attempt) {
        log[level]({ id: message.attrs.id, ...computed(scope(message, attempt)) }, said);
        return message;
      },
    };
  },
  examples: () => [
    {
      why: 'a line with the number of the order',
      config: { text: 'an order came', fields: { no: '=body.no', shop: '=attrs.source' } },
      given: { body: { no: 7 } },
      becomes: [{ body: { no: 7 } }],
    },
    {
      why: 'a field that is not there: the line says so, and the message goes on',
      config: { text: 'an order came', level: 'warn', fields: { no: '=body.none' } },
      given: { body: {} },
      becomes: [{ body: {} }],
    },
    {
      why: 'a body that is no JSON is none of its business',
      config: { text: 'something came', fields: { no: '=body.no' } },
      given: { text: 'no=7' },
      becomes: [{ text: 'no=7' }],
    },
    { why: 'a level that there is not', config: { text: 'a', level: 'loud' }, refused: 'level' },
  ],
});
