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
});
