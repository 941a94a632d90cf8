import type { z } from 'zod';
import { quantityText } from '../../runtime/schema.ts';
import type { ConditionReason } from './conditions.ts';
import type { SchemaNode } from './openapi.ts';
import { type Path, pathText, schemaAt } from './schema-walk.ts';

/** A user's mistake: what, where, and what to do. Never thrown. */
export interface Finding {
  /** Reason of `Accepted=False`. */
  readonly reason: ConditionReason<'Accepted'>;
  /** `spec.sources[0].http.path`, as the API server writes it. */
  readonly path: string;
  readonly message: string;
  /** The API server's word for such a mistake (`reason` of a cause), or the reason again for what only we check. */
  readonly rule: string;
}

type Issue = z.core.$ZodIssue;

/** Findings of zod issues: structural ones carry the rule id that the API server gives for the same mistake. */
export const findingsOf = (issues: readonly Issue[], value: unknown, schema: SchemaNode): Finding[] =>
  issues.flatMap((issue) => {
    const path = issue.path as Path;
    if (issue.code === 'unrecognized_keys') {
      const known = Object.keys(schemaAt(schema, path)?.properties ?? {}).join(', ');
      return issue.keys.map((key) =>
        invalid([...path, key], 'FieldUnknown', `is not a field${known ? `; there are: ${known}` : ''}`),
      );
    }
    const node = schemaAt(schema, path);
    if (issue.code === 'custom' && isExpression(schema, path)) {
      return [{ ...invalid(path, 'InvalidExpression', issue.message), reason: 'InvalidExpression' as const }];
    }
    return [invalid(path, ...ruleOf(issue, valueAt(value, path), node))];
  });

/** A CEL field, or a place in a value tree. */
const isExpression = (schema: SchemaNode, path: Path): boolean =>
  path.some((_, depth) => {
    const form = schemaAt(schema, path.slice(0, depth + 1))?.['x-kanava-form'];
    return form === 'cel' || form === 'tree';
  });

const invalid = (path: Path, rule: string, message: string): Finding => ({
  reason: 'Invalid',
  path: pathText(path),
  message,
  rule,
});

const ruleOf = (issue: Issue, found: unknown, node: SchemaNode | undefined): [rule: string, message: string] => {
  if (issue.code === 'custom') {
    const reason: unknown = issue.params?.['reason'];
    return [typeof reason === 'string' ? reason : 'FieldValueInvalid', issue.message];
  }
  if (found === undefined)
    return ['FieldValueRequired', `is required${node?.description ? `: ${node.description}` : ''}`];
  switch (issue.code) {
    case 'invalid_type':
      return ['FieldValueTypeInvalid', `must be ${article(issue.expected)}`];
    case 'invalid_union':
      // The only union is a quantity.
      if (Number.isInteger(found) || typeof found === 'string') return ['FieldValueInvalid', quantityText];
      return ['FieldValueTypeInvalid', 'must be a whole number or a string'];
    case 'too_big':
      return [tooBig[issue.origin] ?? 'FieldValueInvalid', `${sized(issue.origin)} at most ${issue.maximum}`];
    case 'too_small':
      return ['FieldValueInvalid', `${sized(issue.origin)} at least ${issue.minimum}`];
    case 'invalid_value':
      return ['FieldValueNotSupported', `must be one of: ${issue.values.map(String).join(', ')}`];
    case 'invalid_format':
      return ['FieldValueInvalid', node?.pattern ? `must match ${node.pattern}` : issue.message];
    default:
      return ['FieldValueInvalid', issue.message];
  }
};

const tooBig: Readonly<Record<string, string>> = { string: 'FieldValueTooLong', array: 'FieldValueTooMany' };
const sized = (origin: string): string =>
  origin === 'string' ? 'must have a length of' : origin === 'array' ? 'must have a number of items of' : 'must be';
const article = (type: string): string => {
  // The API has no fractions.
  const word = { record: 'object', int: 'whole number', number: 'whole number' }[type] ?? type;
  return `${/^[aeiou]/.test(word) ? 'an' : 'a'} ${word}`;
};

const valueAt = (value: unknown, path: Path): unknown =>
  path.reduce<unknown>(
    (at, part) => (at === null || at === undefined ? at : (at as Record<string | number, unknown>)[part]),
    value,
  );
