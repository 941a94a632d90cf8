import { dnsLabel } from '../../runtime/schema.ts';
import { connectionSpec } from './connection.ts';
import { type JsonSchema, keywordsOf } from './editor-schema.ts';
import { integrationSpec } from './integration.ts';
import { annotated, type SchemaNode } from './openapi.ts';
import { longestName } from './parse.ts';
import { withDefinitions } from './schema-definitions.ts';
import { tenantSpec } from './tenant.ts';

/*
 * `values.schema.json` of the charts that make Tenants, Connections and Integrations from values. An entry is a spec as the CRD has it,
 * with two differences that let values files merge: a list whose items have a name is a map by that name, and null takes away what an
 * earlier file set. Lists do not merge, so below a list nothing may be null.
 *
 * JSON Schema 2020-12, which Helm checks with Go's regular expressions. Helm prints the keyword that failed, so where the keyword alone
 * would say nothing (`'not' failed`), a value that cannot be carries the text.
 */
interface Place {
  readonly path: string;
  /** Whether null may stand for absent. */
  readonly optional: boolean;
  readonly inList: boolean;
}

export const tenantValues = (): JsonSchema =>
  valuesOf('Values of the kanava-tenant chart', { tenants: objects('Tenants by name.', annotated(tenantSpec)) });

export const integrationValues = (): JsonSchema =>
  valuesOf('Values of the kanava-integrations chart', {
    connections: objects('Connections by name.', annotated(connectionSpec)),
    integrations: objects('Integrations by name.', annotated(integrationSpec)),
  });

const valuesOf = (title: string, properties: Record<string, JsonSchema>): JsonSchema => ({
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title,
  ...withDefinitions({
    type: 'object',
    additionalProperties: false,
    properties: { global: { description: 'Set by a parent chart; not read.', type: 'object' }, ...properties },
  }),
});

const texts = (description: string, value: JsonSchema): JsonSchema => ({
  description,
  type: ['object', 'null'],
  propertyNames: { minLength: 1, maxLength: 317 },
  additionalProperties: { type: ['string', 'null'], ...value },
});
const metadata: JsonSchema = {
  description: 'Labels and annotations of the object.',
  type: ['object', 'null'],
  additionalProperties: false,
  properties: {
    labels: texts('Labels.', { maxLength: 63, pattern: '^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$' }),
    annotations: texts('Annotations.', { maxLength: 262_144 }),
  },
};

const objects = (description: string, spec: SchemaNode): JsonSchema => {
  const entry = valuesNode(spec, { path: description, optional: true, inList: false });
  const fields = entry['properties'] as Record<string, JsonSchema>;
  if (fields['metadata'])
    throw new Error(`${description} a field called metadata cannot stand beside the object's own`);
  return {
    description,
    type: ['object', 'null'],
    propertyNames: { maxLength: longestName, pattern: dnsLabel.source },
    additionalProperties: { ...entry, properties: { metadata, ...fields } },
  };
};

const valuesNode = (node: SchemaNode, place: Place): JsonSchema => {
  const { path, inList } = place;
  const pattern = patternOfRules(node);
  const own: JsonSchema = { ...keywordsOf(node), ...(pattern === undefined ? {} : { pattern }) };
  if (node['x-kubernetes-preserve-unknown-fields'] && !inList)
    throw new Error(`${path}: free JSON outside a list would lose its nulls; put it below a list, such as the steps`);
  const below = (name: string, optional: boolean): Place => ({ path: `${path}.${name}`, optional, inList });
  if (node.type === 'array') {
    const keys = node['x-kubernetes-list-map-keys'] ?? [];
    return orNull(
      keys.join() === 'name' && !inList
        ? mapByName(node, below('*', true))
        : { ...own, items: valuesNode(node.items as SchemaNode, { path: `${path}[]`, optional: false, inList: true }) },
      place,
    );
  }
  const { properties, additionalProperties } = node;
  const required = new Set(node.required);
  return orNull(
    {
      ...own,
      ...(properties && {
        properties: Object.fromEntries(
          Object.entries(properties).map(([name, field]) => [
            name,
            valuesNode(field, below(name, !required.has(name) && !isOnlyChoice(node, name))),
          ]),
        ),
      }),
      ...(additionalProperties !== undefined && {
        additionalProperties:
          typeof additionalProperties === 'object'
            ? valuesNode(additionalProperties, below('*', true))
            : additionalProperties,
      }),
      ...oneOfRules(node),
    },
    place,
  );
};

const orNull = (schema: JsonSchema, { optional, inList }: Place): JsonSchema => {
  const { type, enum: values } = schema;
  if (!optional || inList || type === undefined) return schema;
  return {
    ...schema,
    type: [type, 'null'].flat(),
    ...(Array.isArray(values) ? { enum: [...(values as unknown[]), null] } : {}),
  };
};

/** `[{name: shop, http: ...}]` as `{shop: {http: ...}}`. */
const mapByName = (list: SchemaNode, place: Place): JsonSchema => {
  const item = list.items as SchemaNode;
  const { name, ...properties } = item.properties ?? {};
  const required = (item.required ?? []).filter((field) => field !== 'name');
  const { maxLength, pattern } = keywordsOf(name as SchemaNode);
  return {
    description: `${list.description ?? ''} By name.`.trim(),
    type: 'object',
    ...(list.minItems ? { minProperties: list.minItems } : {}),
    maxProperties: list.maxItems,
    propertyNames: { maxLength, pattern },
    additionalProperties: valuesNode({ ...item, properties, required }, place),
  };
};

/** A rule that is one regular expression, so that Helm and editors check it too. Editors do not know POSIX classes. */
const patternOfRules = (node: SchemaNode): string | undefined => {
  for (const { rule } of node['x-kubernetes-validations'] ?? []) {
    const found = /^self\.matches\('([^'\\]*)'\)$/.exec(rule)?.[1];
    if (found !== undefined) return found.replaceAll('[:space:]', '\\s');
  }
  return undefined;
};

const isOnlyChoice = (node: SchemaNode, name: string): boolean => node['x-kanava-one-of']?.keys.join() === name;

const present: JsonSchema = { not: { type: 'null' } };

/** None and too many, as the two CEL rules say it; a key that is null does not count. */
const oneOfRules = (node: SchemaNode): JsonSchema => {
  const oneOf = node['x-kanava-one-of'];
  if (!oneOf) return {};
  const { what, keys, advice } = oneOf;
  if (keys.length === 1) return { required: [...(node.required ?? []), ...keys] };
  const has = (key: string): JsonSchema => ({ properties: { [key]: present }, required: [key] });
  const second: JsonSchema = {
    title: `second-${what}`,
    ...when(present, { const: `absent: more than one ${what} (${advice.replace('list item', what)})` }),
  };
  const none: JsonSchema = { type: 'object', not: { anyOf: keys.map(has) } };
  return {
    allOf: [
      when(none, { required: [`one ${what}: ${keys.join(', ')}`] }),
      ...keys.slice(0, -1).map((key, index) => {
        const later = keys.slice(index + 1).map((other) => [other, second] as const);
        return when(has(key), { properties: Object.fromEntries(later) });
      }),
    ],
  };
};

/** By a call, because the linter takes an object with a field `then` for a promise. */
const when = (condition: JsonSchema, consequence: JsonSchema): JsonSchema => ({
  ...keyword('if', condition),
  ...keyword('then', consequence),
});
const keyword = (name: string, schema: JsonSchema): JsonSchema => ({ [name]: schema });
