import { z } from 'zod';
import { durationPattern, durationText, quantityPattern, quantityText } from '../../runtime/schema.ts';
import { remembered } from './remembered.ts';

/* From zod to the structural OpenAPI of a CRD: what JSON Schema can say becomes keywords, the rest CEL. */

export interface SchemaNode {
  description?: string;
  doc?: string;
  type?: string;
  format?: string;
  enum?: unknown[];
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
  required?: string[];
  properties?: Record<string, SchemaNode>;
  items?: SchemaNode;
  additionalProperties?: boolean | SchemaNode;
  propertyNames?: SchemaNode;
  anyOf?: SchemaNode[];
  default?: unknown;
  'x-kubernetes-validations'?: CelRule[];
  'x-kubernetes-list-type'?: string;
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-map-type'?: string;
  'x-kubernetes-int-or-string'?: boolean;
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kanava-form'?: string;
  'x-kanava-items'?: string;
  'x-kanava-one-of'?: { what: string; keys: string[]; advice: string };
  'x-kanava-connection'?: string;
  'x-kanava-flow'?: boolean;
}
export interface CelRule {
  rule: string;
  message: string;
  messageExpression?: string;
  fieldPath?: string;
  reason?: string;
  optionalOldSelf?: boolean;
}

/** JSON Schema with all our marks: for editors, and to find what a value refers to. */
export const annotated: (schema: z.ZodType) => SchemaNode = remembered(
  (schema) =>
    z.toJSONSchema(schema, {
      target: 'openapi-3.0',
      io: 'input',
      cycles: 'throw',
      reused: 'inline',
      unrepresentable: 'any',
    }) as SchemaNode,
);

export const structural = (schema: z.ZodType): SchemaNode => structuralNode(annotated(schema), '');

const celOfForm: Readonly<Record<string, CelRule>> = {
  duration: {
    rule: `self.matches('${durationPattern}') && duration(self) > duration('0s')`,
    message: durationText,
  },
  quantity: { rule: `string(self).matches('${quantityPattern}')`, message: quantityText },
};

/** CEL's reserved words are escaped in field selections. */
const reserved: ReadonlySet<string> = new Set(
  'as break const continue else false for function if import in let loop package namespace null return true var void while'.split(
    ' ',
  ),
);
const has = (key: string) => `has(self.${reserved.has(key) ? `__${key}__` : key})`;

/** Two rules, because "none" and "too many" need different texts; joined by `+`, which the server can bound. */
const celOfOneOf = ({ what, keys, advice }: NonNullable<SchemaNode['x-kanava-one-of']>): CelRule[] => [
  { rule: keys.map(has).join(' || '), message: `set one ${what}: ${keys.join(', ')}` },
  ...(keys.length === 1
    ? []
    : [
        {
          rule: `${keys.map((key) => `(${has(key)} ? 1 : 0)`).join(' + ')} <= 1`,
          message: `has more than one ${what} (${advice})`,
          messageExpression: `'has more than one ${what}: ' + ${keys.map((key) => `(${has(key)} ? '${key} ' : '')`).join(' + ')} + '(${advice})'`,
        },
      ]),
];

const rulesOf = (node: SchemaNode): CelRule[] => [
  ...(node['x-kanava-one-of'] ? celOfOneOf(node['x-kanava-one-of']) : []),
  ...(node['x-kanava-form'] && celOfForm[node['x-kanava-form']] ? [celOfForm[node['x-kanava-form']] as CelRule] : []),
  ...(node['x-kubernetes-validations'] ?? []),
];

const structuralNode = (node: SchemaNode, path: string): SchemaNode => {
  const rules = rulesOf(node);
  const common: SchemaNode = {
    ...(node.description === undefined ? {} : { description: node.description }),
    ...(rules.length ? { 'x-kubernetes-validations': rules } : {}),
  };
  if (node['x-kubernetes-int-or-string']) {
    return {
      ...common,
      anyOf: [{ type: 'integer' }, { type: 'string' }],
      'x-kubernetes-int-or-string': true,
      maxLength: 32,
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
    };
  }
  if (node['x-kubernetes-preserve-unknown-fields']) {
    return { ...common, ...pick(node, ['type']), 'x-kubernetes-preserve-unknown-fields': true };
  }
  if (node.anyOf) throw new Error(`${path}: a CRD cannot express a union; use one key per alternative (oneOf)`);
  switch (node.type) {
    case 'object':
      return { ...common, ...objectNode(node, path) };
    case 'array': {
      const items = structuralNode(node.items as SchemaNode, `${path}[]`);
      return {
        ...common,
        ...pick(node, ['type', 'minItems', 'maxItems', 'x-kubernetes-list-type', 'x-kubernetes-list-map-keys']),
        items: node['x-kanava-items'] === 'atomic' ? { ...items, 'x-kubernetes-map-type': 'atomic' } : items,
      };
    }
    case 'integer':
      return { ...common, ...integerNode(node) };
    case 'string':
      return { ...common, ...pick(node, ['type', 'format', 'enum', 'pattern', 'minLength', 'maxLength']) };
    case 'boolean':
      return { ...common, type: 'boolean' };
    default:
      throw new Error(`${path}: a CRD has no form for ${node.type ? `type ${node.type}` : 'a field without a type'}`);
  }
};

const objectNode = (node: SchemaNode, path: string): SchemaNode => {
  if (typeof node.additionalProperties === 'object') {
    const values = structuralNode(node.additionalProperties, `${path}.*`);
    return { type: 'object', ...pick(node, ['maxProperties']), additionalProperties: values };
  }
  const properties = Object.entries(node.properties ?? {}).map(
    ([name, property]) => [name, structuralNode(property, `${path}.${name}`)] as const,
  );
  return {
    type: 'object',
    ...(node.required?.length ? { required: node.required } : {}),
    properties: Object.fromEntries(properties),
  };
};

const integerNode = ({ minimum, maximum, format }: SchemaNode): SchemaNode => ({
  type: 'integer',
  format: format ?? 'int32',
  ...(minimum === undefined || minimum <= Number.MIN_SAFE_INTEGER ? {} : { minimum }),
  ...(maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER ? {} : { maximum }),
});

const pick = <K extends keyof SchemaNode>(node: SchemaNode, keys: readonly K[]): SchemaNode =>
  Object.fromEntries(keys.filter((key) => node[key] !== undefined).map((key) => [key, node[key]]));
