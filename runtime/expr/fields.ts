import { z } from 'zod';
import { freeObject, text } from '../schema.ts';
import { parseExpression } from './cel.ts';

/** A field that *is* a CEL expression. It is parsed wherever the configuration is parsed: operator, CLI and runtime say the same. */
export const cel = (description: string) =>
  z
    .string()
    .min(1)
    .max(4096)
    .superRefine((source, context) => {
      const parsed = parseExpression(source);
      if (!parsed.ok) context.addIssue({ code: 'custom', message: parsed.message });
    })
    .meta({ description, 'x-kanava-form': 'cel' });

/**
 * A JSON Schema of a body. Operator and CLI look through it where they check (json-schema.ts); it is not read with the configuration,
 * because that would cost every worker's start.
 */
export const jsonSchema = (description: string) =>
  freeObject(description, {
    doc: 'References stay within the schema (#/...), `format` is not checked, regular expressions have no look-around.',
  }).meta({ 'x-kanava-form': 'json-schema' });

/** A Liquid template. Operator and CLI parse it where they check; a worker leaves that to the thread that runs it. */
export const liquid = (description: string) =>
  text(description, 16_384).meta({ description, 'x-kanava-form': 'liquid' });

/** A JSONata expression; parsed and run as templates are. */
export const jsonata = (description: string) =>
  text(description, 16_384).meta({ description, 'x-kanava-form': 'jsonata' });

/** JavaScript, the body of a function; compiled and run as templates are. */
export const script = (description: string) =>
  text(description, 16_384).meta({ description, 'x-kanava-form': 'javascript' });
