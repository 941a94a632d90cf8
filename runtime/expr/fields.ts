import { z } from 'zod';
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
