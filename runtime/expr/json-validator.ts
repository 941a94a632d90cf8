import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import { reject } from '../errors.ts';
import type { JsonValue } from '../message.ts';
import { mapSchemas } from './json-schema.ts';
import { linearRegExp } from './linear-regexp.ts';

/*
 * Compiles a schema that `schemaProblems` has let pass. Loaded by workers that use it and by nobody else: it makes code from the schema,
 * and loading it takes as long as starting half a worker.
 */

/**
 * What does not fit, or `undefined`. Holds names of fields, never values. Throws `reject('BodyTooDeep')` and `reject('SchemaTooSlow')`: a
 * schema that refers to itself twice doubles its work with every level of a body.
 */
export type Validator = (value: JsonValue) => string | undefined;

const mostErrors = 3;
const longestError = 200;
/** References that are followed for one body. */
const mostVisits = 500_000;
const visit = 'x-kanava-visit';

export const compileSchema = (schema: Readonly<Record<string, unknown>>): Validator => {
  const ajv = new Ajv2020({
    strict: false,
    // Looked through already; the schema of schemas takes a tenth of a second to compile.
    meta: false,
    validateSchema: false,
    logger: false,
    // Only what a body itself has counts: `required: [constructor]` must not find what every object inherits.
    ownProperties: true,
    // Small definitions only: a schema may name a large one a thousand times.
    inlineRefs: 16,
    // 19.99 is a multiple of 0.01, whatever binary fractions say.
    multipleOfPrecision: 9,
    // As JSON Schema 2020-12 has it: a format says what a value means.
    validateFormats: false,
    code: { regExp: Object.assign(linearRegExp, { code: 'linearRegExp' }) },
  });
  // The library's compares every item with every other: minutes for a large body.
  ajv.removeKeyword('uniqueItems').addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    error: { message: 'must not have two equal items' },
    validate: (wanted: boolean, items: readonly JsonValue[]) =>
      !wanted || new Set(items.map(canonical)).size === items.length,
  });
  let visits = 0;
  ajv.addKeyword({
    keyword: visit,
    errors: false,
    validate: () => {
      visits += 1;
      if (visits <= mostVisits) return true;
      throw reject(
        'SchemaTooSlow',
        `the schema takes more than ${mostVisits} references to check this body; simplify it`,
      );
    },
  });
  const counted = mapSchemas(schema, (each) => (each['$ref'] === undefined ? each : { ...each, [visit]: true }));
  // All references stay within, so its own address says nothing, and it could be that of another.
  const validate = ajv.compile({ ...(counted as object), $id: undefined, $schema: undefined });
  const fits = (value: JsonValue): boolean => {
    visits = 0;
    try {
      return validate(value);
    } catch (cause) {
      // References follow the body down, as far as the stack reaches.
      if (cause instanceof RangeError) throw reject('BodyTooDeep', 'the body is nested too deeply', { cause });
      throw cause;
    }
  };
  return (value) => {
    if (fits(value)) return undefined;
    const errors = (validate.errors ?? []).map(textOf);
    const more = errors.length > mostErrors ? `; and ${errors.length - mostErrors} more` : '';
    return errors.slice(0, mostErrors).join('; ') + more;
  };
};

const textOf = ({ instancePath, keyword, params, message }: ErrorObject): string => {
  const says = wordings[keyword]?.(params as Params) ?? message ?? `breaks "${keyword}"`;
  return shortened(`${fieldAt(instancePath)} ${says}`);
};
type Params = Readonly<Record<string, unknown>>;
const wordings: Readonly<Record<string, (params: Params) => string>> = {
  required: ({ missingProperty }) => `has no field ${quoted(missingProperty)}`,
  additionalProperties: ({ additionalProperty }) => `has a field ${quoted(additionalProperty)}, which is not allowed`,
  unevaluatedProperties: ({ unevaluatedProperty }) =>
    `has a field ${quoted(unevaluatedProperty)}, which is not allowed`,
  enum: ({ allowedValues }) => `must be one of: ${JSON.stringify(allowedValues).slice(1, -1)}`,
  const: ({ allowedValue }) => `must be ${JSON.stringify(allowedValue)}`,
};
const quoted = (name: unknown) => JSON.stringify(name);

/** `body.lines[0].sku`, as expressions name it, from a JSON pointer. */
const fieldAt = (instancePath: string): string =>
  instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce((path, part) => {
      if (/^\d+$/.test(part)) return `${path}[${part}]`;
      return /^[A-Za-z_]\w*$/.test(part) ? `${path}.${part}` : `${path}[${quoted(part)}]`;
    }, 'body');

const shortened = (text: string) => (text.length > longestError ? `${text.slice(0, longestError - 3)}...` : text);

/** The same text for equal values, whatever the order of their fields. */
const canonical = (value: JsonValue): string => {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const fields = Object.entries(value as Readonly<Record<string, JsonValue>>)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`);
  return `{${fields.join(',')}}`;
};
