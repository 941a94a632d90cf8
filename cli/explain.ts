import type { z } from 'zod';
import { annotated, type SchemaNode } from '../operator/api/openapi.ts';
import { catalog } from '../runtime/catalog.ts';

/* Connectors and steps as their schemas describe them: what `kubectl explain` shows of them, and the longer text. */
export interface Part {
  readonly role: 'source' | 'sink' | 'connection' | 'step';
  readonly summary: string;
  /** Where a source's code runs. */
  readonly placement?: string;
  readonly schema: SchemaNode;
}
export interface Explained {
  readonly name: string;
  readonly parts: readonly Part[];
}

const part = (
  role: Part['role'],
  definition: { readonly config: z.ZodType; readonly summary?: string; readonly placement?: string } | undefined,
): Part[] => {
  if (definition === undefined) return [];
  const schema = annotated(definition.config);
  const { summary = schema.description ?? '', placement } = definition;
  return [{ role, summary, ...(placement === undefined ? {} : { placement }), schema }];
};

export const explainedConnectors = (): Explained[] =>
  [...new Set([...catalog.sources.keys(), ...catalog.sinks.keys(), ...catalog.connections.keys()])].map((name) => ({
    name,
    parts: [
      ...part('source', catalog.sources.get(name)),
      ...part('sink', catalog.sinks.get(name)),
      ...part('connection', catalog.connections.get(name)),
    ],
  }));

export const explainedSteps = (): Explained[] =>
  [...catalog.steps].map(([name, definition]) => ({ name, parts: part('step', definition) }));

/** One line a field: name, type, whether it is needed, what it is; fields of objects below, indented. */
export const fieldLines = (node: SchemaNode, indent = '  '): string[] => {
  const { properties, items, additionalProperties } = node;
  if (items) return fieldLines(items, indent);
  if (typeof additionalProperties === 'object') return fieldLines(additionalProperties, indent);
  return Object.entries(properties ?? {}).flatMap(([name, below]) => {
    const required = node.required?.includes(name) ? ', required' : '';
    const long = [below.description, below.doc].filter(Boolean).join(' ');
    return [
      `${indent}${name} <${typeText(below)}${required}>`,
      ...(long ? [`${indent}    ${long}`] : []),
      ...fieldLines(below, `${indent}  `),
    ];
  });
};

const typeText = (node: SchemaNode): string => {
  const form = node['x-kanava-form'];
  if (form === 'cel') return 'CEL';
  if (form === 'tree') return `${node.type === 'string' ? 'text' : 'any value'}; text after = is CEL`;
  if (form !== undefined) return form;
  if (node.enum) return node.enum.map(String).join(' | ');
  if (node.items) return `list of ${typeText(node.items)}`;
  if (typeof node.additionalProperties === 'object') return `map of ${typeText(node.additionalProperties)}`;
  const oneOf = node['x-kanava-one-of'];
  return oneOf ? `one of: ${oneOf.keys.join(', ')}` : (node.type ?? 'any value');
};
