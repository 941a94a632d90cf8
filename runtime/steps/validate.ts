import { z } from 'zod';
import { defineStep } from '../connector.ts';
import { reject } from '../errors.ts';
import { jsonSchema } from '../expr/fields.ts';
import type { JsonValue } from '../message.ts';

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
    const mismatchOf = (body: JsonValue) => {
      try {
        return mismatch(body);
      } catch (cause) {
        // A schema that refers to itself follows the body down, as far as the stack reaches.
        if (cause instanceof RangeError) throw reject('BodyTooDeep', 'the body is nested too deeply', { cause });
        throw cause;
      }
    };
    return {
      run(message) {
        const found = mismatchOf(message.body.value());
        if (found === undefined) return message;
        throw reject('SchemaMismatch', found);
      },
    };
  },
});
