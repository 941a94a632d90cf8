import { dnsLabel, durationPattern, durationText, quantityPattern, quantityText } from '../../runtime/schema.ts';
import { integrationSpec } from './integration.ts';
import { apiVersion, Integrations } from './meta.ts';
import { annotated, type SchemaNode } from './openapi.ts';
import { longestName } from './parse.ts';
import { testFile } from './test-file.ts';

/* JSON Schema (draft-07, which every editor knows) of an Integration, with the long texts. */

export type JsonSchema = { [keyword: string]: unknown };

const forms: Readonly<Record<string, { pattern: string; text: string }>> = {
  duration: { pattern: durationPattern, text: durationText },
  quantity: { pattern: quantityPattern, text: quantityText },
};

const textOf = (node: SchemaNode): JsonSchema => {
  const form = forms[node['x-kanava-form'] ?? ''];
  const whole = [node.description, node.doc, form && `Form: ${form.text}.`].filter(Boolean).join(' ');
  return whole ? { description: whole } : {};
};

const copied = [
  'type',
  'format',
  'enum',
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'maxProperties',
  'required',
] as const;

/** What is said of a value itself, without its parts. */
export const keywordsOf = (node: SchemaNode): JsonSchema => {
  const pattern = forms[node['x-kanava-form'] ?? '']?.pattern ?? node.pattern;
  return {
    ...textOf(node),
    ...Object.fromEntries(
      copied.filter((keyword) => node[keyword] !== undefined).map((keyword) => [keyword, node[keyword]]),
    ),
    ...(node['x-kubernetes-int-or-string'] ? { type: ['integer', 'string'], minimum: 0 } : {}),
    ...(pattern === undefined ? {} : { pattern }),
  };
};

const editorNode = (node: SchemaNode): JsonSchema => {
  const { properties, items, additionalProperties } = node;
  const oneOf = node['x-kanava-one-of'];
  return {
    ...keywordsOf(node),
    ...(properties
      ? { properties: Object.fromEntries(Object.entries(properties).map(([name, below]) => [name, editorNode(below)])) }
      : {}),
    ...(items ? { items: editorNode(items) } : {}),
    ...(additionalProperties === undefined
      ? {}
      : {
          additionalProperties:
            typeof additionalProperties === 'object' ? editorNode(additionalProperties) : additionalProperties,
        }),
    ...(oneOf ? { oneOf: oneOf.keys.map((key) => ({ required: [key] })) } : {}),
  };
};

export const editorSchema = (): JsonSchema => ({
  $schema: 'http://json-schema.org/draft-07/schema#',
  $id: 'https://kanava.dev/schemas/v1alpha1/integration.schema.json',
  title: 'Kanava Integration',
  type: 'object',
  required: ['apiVersion', 'kind', 'metadata', 'spec'],
  additionalProperties: false,
  properties: {
    apiVersion: { description: 'Version of the API that it is written in.', const: apiVersion },
    kind: { description: 'Kind of the object.', const: Integrations.kind },
    metadata: {
      description: 'Name, namespace, labels.',
      type: 'object',
      required: ['name'],
      properties: {
        name: {
          description: 'Name of the Integration, unique in its namespace.',
          type: 'string',
          maxLength: longestName,
          pattern: dnsLabel.source,
        },
        namespace: { description: 'Namespace of the Tenant.', type: 'string', maxLength: 63 },
        labels: { description: 'Labels.', type: 'object', additionalProperties: { type: 'string' } },
        annotations: { description: 'Annotations.', type: 'object', additionalProperties: { type: 'string' } },
      },
    },
    spec: editorNode(annotated(integrationSpec)),
    status: { description: 'Written by the operator.', type: 'object' },
  },
});

/** Of files of `kanava test`. */
export const testSchema = (): JsonSchema => ({
  $schema: 'http://json-schema.org/draft-07/schema#',
  $id: 'https://kanava.dev/schemas/v1alpha1/test.schema.json',
  title: 'Kanava tests',
  ...editorNode(annotated(testFile)),
});
