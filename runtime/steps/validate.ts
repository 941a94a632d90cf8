import { z } from 'zod';
import { defineStep } from '../connector.ts';
import { reject } from '../errors.ts';
import { jsonSchema } from '../expr/fields.ts';

const config = z.strictObject({
  schema: jsonSchema('JSON Schema 2020-12 that the body must fit.'),
});

/** Messages that fit go on as they are, byte for byte; the others are dead letters that say where and why. */
export const validateStep = defineStep<z.infer<typeof config>>({
  name: 'validate',
  summary: 'Rejects messages whose body does not fit a schema.',
  config,
  state: 'none',
  async open({ schema }) {
    const { compileSchema } = await import('../expr/json-validator.ts');
    const mismatch = compileSchema(schema);
    return {
      run(message) {
        const found = mismatch(message.body.value());
        if (found === undefined) return message;
        throw reject('SchemaMismatch', found);
      },
    };
  },
  examples: () => [
    {
      why: 'a body that fits goes on, byte for byte',
      config: { schema: { type: 'object', required: ['no'], properties: { no: { type: 'integer' } } } },
      given: { text: '{ "no": 7 }' },
      becomes: [{ text: '{ "no": 7 }' }],
    },
    {
      why: 'more fields than the schema names are fine, unless it says otherwise',
      config: { schema: { required: ['no'] } },
      given: { body: { no: 7, more: true } },
      becomes: [{ body: { no: 7, more: true } }],
    },
    {
      why: 'a body that does not fit: the dead letter says where',
      config: { schema: { properties: { no: { type: 'integer' } } } },
      given: { body: { no: 'seven' } },
      rejects: 'SchemaMismatch',
    },
    { why: 'no JSON', config: { schema: { type: 'object' } }, given: { text: 'no=7' }, rejects: 'BodyNotJson' },
    { why: 'a schema that is none', config: { schema: ['object'] }, refused: 'schema' },
  ],
});
